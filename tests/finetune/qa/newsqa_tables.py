"""Made-up stories and questions in the layouts of NewsQA's tables."""

import csv

STORY = "NEW TOWN (Contoso) -- A court froze 19 accounts.\n\n\nNineteen, 19 in figures, said Judge Ada López on Monday."
COLUMNS = (
    "story_id",
    "question",
    "answer_char_ranges",
    "is_answer_absent",
    "is_question_bad",
    "validated_answers",
    "story_text",
)
TOKEN_COLUMNS = ("story_id", "story_text", "question", "answer_token_ranges")


def span(text, story=STORY, occurrence=0):
    """Returns the range of one occurrence of a text in a story."""
    start = -1
    for _ in range(occurrence + 1):
        start = story.index(text, start + 1)
    return f"{start}:{start + len(text)}"


def row(question="How many accounts?", ranges="None", **fields):
    """Returns a row of combined-newsqa-data-v1.csv."""
    return {
        "story_id": "./contoso/stories/2e1d4.story",
        "question": question,
        "answer_char_ranges": ranges,
        "is_answer_absent": "0.0",
        "is_question_bad": "0.0",
        "validated_answers": "",
        "story_text": STORY,
        **fields,
    }


def write_table(path, rows, columns=COLUMNS):
    """Writes rows as a table and returns its path."""
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return path
