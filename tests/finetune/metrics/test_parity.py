"""The evaluators agree with a slow reference on 500 made-up questions with everything that is awkward in them."""

import random

import pytest

from finetune.metrics import squad
from finetune.metrics.squad import normalize_answer
from tests.finetune.metrics import slow_reference

NUM_QUESTIONS = 500
PIECES = (
    *("the", "a", "An", "THE", "then", "Anna", "theatre", "a.b", "the-end", "U.S.A.", "the's", "o'the"),
    *("king", "Old", "sea", "town", "king", "1914", "1914–18", "3.5", "$5", "100%", "half", "½", "²"),
    *(
        "Zürich",
        "zu\u0308rich",
        "the\u0301",
        "naïve",
        "東京",
        "İstanbul",
        "ﬁsh",
        "ßtraße",
        "Ωmega",
        "नमस्ते",
        "\u00a0",
        "—",
    ),
    *("“quoted”", '"', "...", "?!", "_", "snake_case", "\t", "\u2009", "\u200b", "«the»", "`the`", "(the)"),
)


def _text(generator, most):
    pieces = generator.choices(PIECES, k=generator.randint(0, most))
    return "".join(piece + generator.choice((" ", " ", "  ", "")) for piece in pieces)


def _changed(text, generator):
    """Returns a text that may be as good as another: other case, an article, punctuation, a word more or less."""
    kind = generator.randrange(8)
    words = text.split()
    if kind == 0:
        return text.upper()
    if kind == 1:
        return f"the {text}."
    if kind == 2:
        return " ".join(words[1:])
    if kind == 3:
        return " ".join([*words, *words])
    if kind == 4:
        return " ".join(generator.sample(words, len(words)))
    if kind == 5:
        return f"{text} {generator.choice(PIECES)}"
    return text if kind == 6 else f"“{text}”"


@pytest.fixture(scope="module")
def made_up():
    """Gold answers (a third of the questions have none), predictions, and null odds with ties."""
    generator = random.Random(8)
    gold, predictions, null_odds = {}, {}, {}
    for number in range(NUM_QUESTIONS):
        name = f"q{number}"
        gold[name] = [] if number % 3 == 0 else [_text(generator, 4) for _ in range(generator.randint(1, 5))]
        right = generator.choice(gold[name] or [""])
        changed = [_changed(right, generator) for _ in range(4)]
        predictions[name] = generator.choice([right, *changed, _text(generator, 3), ""])
        null_odds[name] = round(generator.gauss(1.0 if not gold[name] else -1.0, 2.0), 1)
    return gold, predictions, null_odds


def test_the_made_up_questions_are_awkward(made_up):
    gold, predictions, null_odds = made_up
    answers = [text for golds in gold.values() for text in golds]
    assert sum(not normalize_answer(text) for text in answers) > 50
    assert sum(not golds for golds in gold.values()) == 167
    assert sum(len(golds) > 1 for golds in gold.values()) > 200
    assert sum(not text for text in predictions.values()) > 50
    assert sum(not text.isascii() for text in answers) > 200
    assert len(set(null_odds.values())) < 150
    scores = [slow_reference.question_v2(golds, predictions[name]) for name, golds in gold.items()]
    assert sum(exact == 1 for exact, _ in scores) > 80
    assert sum(0 < f1 < 1 for _, f1 in scores) > 50
    assert sum(f1 == 0 for _, f1 in scores) > 80


def test_words_are_those_of_the_reference(made_up):
    gold, predictions, _ = made_up
    texts = [*predictions.values(), *(text for golds in gold.values() for text in golds), *PIECES]
    for text in texts:
        assert normalize_answer(text).split() == slow_reference.words_of(text), text


def test_squad_v1_and_mrqa_are_those_of_the_reference(made_up):
    gold, predictions, _ = made_up
    answerable = {name: golds for name, golds in gold.items() if golds}
    metrics = squad.evaluate_v1(answerable, predictions).metrics
    expected = slow_reference.percentages_v1(answerable, predictions)
    assert [metrics["exact_match"], metrics["f1"]] == pytest.approx(expected, abs=1e-9)


def test_missing_predictions_are_wrong_and_not_left_out(made_up):
    gold, predictions, _ = made_up
    answerable = {name: golds for name, golds in gold.items() if golds}
    missing = [name for name in answerable if int(name[1:]) % 5 == 1]
    some = {name: text for name, text in predictions.items() if name not in missing}
    expected = slow_reference.percentages_v1(answerable, some)
    scores = squad.evaluate_v1(answerable, some)
    assert [scores.metrics["exact_match"], scores.metrics["f1"]] == pytest.approx(expected, abs=1e-9)
    assert scores.missing == missing
    share_left = {name: golds for name, golds in answerable.items() if name in some}
    left_out = slow_reference.percentages_v1(share_left, some)
    assert expected == pytest.approx([value * len(share_left) / len(answerable) for value in left_out])


@pytest.mark.parametrize("threshold", [-100.0, -2.75, -0.5, 0.0, 1.0, 100.0])
def test_squad_v2_is_that_of_the_reference_at_every_threshold(made_up, threshold):
    gold, predictions, null_odds = made_up
    expected = slow_reference.percentages_v2(gold, predictions, null_odds, threshold)
    metrics = squad.evaluate_v2(gold, predictions, null_odds, threshold).metrics
    assert {name: metrics[name] for name in expected} == pytest.approx(expected, abs=1e-9)
    for name, golds in gold.items():
        pair = slow_reference.question_v2(golds, predictions[name])
        assert squad.question_scores(golds, predictions[name]) == pytest.approx(pair, abs=1e-9)


def test_the_best_thresholds_are_those_of_the_reference(made_up):
    gold, predictions, null_odds = ({name: column[name] for name in list(column)[:200]} for column in made_up)
    metrics = squad.evaluate_v2(gold, predictions, null_odds).metrics
    for place, name in enumerate(("exact", "f1")):
        best, threshold = slow_reference.best_v2(gold, predictions, null_odds, place)
        assert metrics[f"best_{name}"] == pytest.approx(best, abs=1e-9)
        assert metrics[f"best_{name}_thresh"] == threshold
