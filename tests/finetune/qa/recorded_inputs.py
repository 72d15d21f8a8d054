"""The files that recorded windows and answers are of, and their formats, by task."""

INPUTS = {
    "squad": ("features_input_squad_v2.json", "squad"),
    "squadv1": ("features_input_squad_v1.json", "squad"),
    "newsqa": ("features_input_mrqa.jsonl", "mrqa"),
}
