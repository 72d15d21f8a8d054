"""Questions and answers of which every kind of error is known."""

import json

from finetune.analysis.analysis import analyze
from finetune.analysis.models import AnswerFiles
from finetune.qa.examples import Answer, Question
from finetune.qa.readers import ReadQuestions, read_questions

CONTEXT = "Ann Lee met the old king in Rome in May. They spoke of the sea for 3 hours & left."

# id: question, gold answers, prediction of A, of B (None: there is none), null odds
ROWS = {
    "correct": ("Who met the king?", ("Ann Lee",), "Ann Lee", "Ann", -5.0),
    "too long": ("Where's the king?", ("Rome",), "in Rome in May", "Rome", -4.5),
    "too short": ("Whom did she meet?", ("the old king", "the old king in Rome"), "king", "old king", -4.0),
    "overlapping": ("What did they do?", ("spoke of the sea",), "They spoke of", "sea", -3.5),
    "disjoint": ("When, then?", ("May",), "3 hours", "in May", -3.0),
    "refused": ("How long did they speak?", ("3 hours", "for 3 hours"), "3 hours", "3 hours", 4.0),
    "article": ("Why?", ("the sea",), "the", "sea", -2.5),
    "answered": ("How did he die?", (), "of the sea", "", -2.0),
    "silent": ("Which sea?", (), "the sea", "sea", 5.0),
    "missing": ("Name the town.", ("Rome",), None, "Rome", -1.0),
}


def question(name="q", text="What?", gold_texts=("Rome",), context=CONTEXT):
    """Returns a question, with the places of its answers."""
    answers = tuple(Answer(part, context.index(part)) for part in gold_texts)
    return Question(name, text, context, answers, tuple(gold_texts), not gold_texts)


def write_files(folder, rows=None):
    """Writes gold.json, a.json, b.json and odds.json; returns their paths."""
    rows = ROWS if rows is None else rows
    qas = [
        {
            "id": name,
            "question": text,
            "answers": [{"text": part, "answer_start": CONTEXT.index(part)} for part in golds],
            "is_impossible": not golds,
        }
        for name, (text, golds, *_) in rows.items()
    ]
    contents = {
        "gold": {"data": [{"paragraphs": [{"context": CONTEXT, "qas": qas}]}]},
        "a": {name: row[2] for name, row in rows.items() if row[2] is not None},
        "b": {name: row[3] for name, row in rows.items() if row[3] is not None},
        "odds": {name: row[4] for name, row in rows.items()},
    }
    paths = {name: folder / f"{name}.json" for name in contents}
    for name, value in contents.items():
        paths[name].write_text(json.dumps(value))
    return paths


def analysis_of(folder, *, models=1, has_null_odds=True, threshold=None, rows=None, **settings):
    """Returns the analysis of one or both models' answers to the rows."""
    paths = write_files(folder, rows)
    odds = str(paths["odds"]) if has_null_odds else None
    files = [AnswerFiles(str(paths[name]), odds) for name in "ab"[:models]]
    read: ReadQuestions = read_questions(paths["gold"], "squad", for_training=False)
    return analyze(str(paths["gold"]), read, files, threshold=threshold, **settings)
