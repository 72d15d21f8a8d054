"""Records scores of transformers' SQuAD 2.0 evaluation on answers made here.

Needs transformers 4.57: later versions have no SQuAD evaluation.

Example:
    pip install transformers==4.57.6
    python tests/golden/record_squad_scores.py
"""

import itertools
import json
import pathlib
import random
import types

from transformers.data.metrics import squad_metrics

FILE = pathlib.Path(__file__).resolve().parent / "squad" / "scores.json"
# Answers by question; a question without one has no answer in its text.
ANSWERS = {
    "exact": ["oak table"],
    "several": ["the red lamp", "a red lamp", "lamp"],
    "article": ["The Harbour"],
    "case": ["Berlin"],
    "punctuation": ["12.5 km", "12,5 km"],
    "hyphen": ["two-thirds"],
    "currency": ["$40"],
    "repeated": ["to be or not to be"],
    "accents": ["Café Zoé"],
    "other_script": ["東京 タワー"],
    "only_articles": ["a an the"],
    "long": ["when the rain came from the sea in the last week of summer"],
    "spaces": ["  bread \u00a0 and\tsoup "],
    "none_1": [],
    "none_2": [],
    "none_3": [],
    "none_4": [],
}
PREDICTIONS = {
    "exact": "oak table",
    "several": "red lamp",
    "article": "harbour",
    "case": "BERLIN.",
    "punctuation": "125 km",
    "hyphen": "two thirds",
    "currency": "40 dollars",
    "repeated": "to be to be",
    "accents": "cafe zoé",
    "other_script": "東京",
    "only_articles": "the",
    "long": "the rain came in summer",
    "spaces": "bread and soup",
    "none_1": "",
    "none_2": "a lamp",
    "none_3": "the",
    "none_4": "!",
}
THRESHOLDS = (1.0, 0.6, 0.3, 0.0)


def main() -> None:
    """Writes the answers, the sets of predictions, and the scores at each threshold."""
    predictions = {"mixed": PREDICTIONS, "first": {name: (texts or [""])[0] for name, texts in ANSWERS.items()}}
    predictions["empty"] = dict.fromkeys(ANSWERS, "")
    odds = make_null_odds(random.Random(3))
    runs = [make_run(name, predictions[name], None, None, 1.0) for name in predictions]
    runs += [
        make_run(name, predictions[name], odds_name, odds[odds_name], threshold)
        for name in predictions
        for odds_name in odds
        for threshold in THRESHOLDS
    ]
    texts = [*itertools.chain(*ANSWERS.values()), *PREDICTIONS.values()]
    normalized = {text: squad_metrics.normalize_answer(text) for text in texts}
    FILE.parent.mkdir(exist_ok=True)
    content = {
        "answers": ANSWERS,
        "predictions": predictions,
        "null_odds": odds,
        "normalized": normalized,
        "runs": runs,
    }
    FILE.write_text(json.dumps(content, separators=(",", ":")) + "\n")


def make_null_odds(rng: random.Random) -> dict[str, dict[str, float]]:
    """Returns sets of probabilities that a question has no answer: good ones, random ones, and many ties."""
    return {
        "good": {
            name: round(rng.uniform(0.0, 0.6) if texts else rng.uniform(0.4, 1.0), 3) for name, texts in ANSWERS.items()
        },
        "random": {name: round(rng.random(), 3) for name in ANSWERS},
        "ties": {name: rng.choice([0.0, 0.3, 0.6, 1.0]) for name in ANSWERS},
    }


def make_run(
    predictions_name: str, predictions: dict[str, str], odds_name: str | None, odds: dict | None, threshold: float
) -> dict[str, object]:
    """Returns the scores of one set of predictions at one threshold, with the names of what they are made from."""
    examples = [
        types.SimpleNamespace(qas_id=name, answers=[{"text": text} for text in texts])
        for name, texts in ANSWERS.items()
    ]
    results = squad_metrics.squad_evaluate(examples, predictions, odds, no_answer_probability_threshold=threshold)
    return {"predictions": predictions_name, "null_odds": odds_name, "threshold": threshold, "results": results}


if __name__ == "__main__":
    main()
