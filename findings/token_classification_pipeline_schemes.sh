#!/bin/sh
# TokenClassificationPipeline of transformers joins words to entities by B- and I- alone: one entity in BIOES, BILOU or
# BMES comes out in pieces, two single ones side by side as one. Exits 1 if the behaviour has changed.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q transformers==5.24.0 torch==2.13.0 numpy
"$folder/venv/bin/python" - "$folder" <<'PYTHON'
import pathlib
import sys

import numpy as np
import transformers
from transformers import BertTokenizerFast, ElectraConfig, ElectraForTokenClassification, TokenClassificationPipeline

print("transformers", transformers.__version__)
vocabulary = pathlib.Path(sys.argv[1], "vocab.txt")
vocabulary.write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "b", "c"]))
config = ElectraConfig(
    vocab_size=8, embedding_size=4, hidden_size=4, num_hidden_layers=1, num_attention_heads=1, intermediate_size=4
)
pipeline = TokenClassificationPipeline(
    model=ElectraForTokenClassification(config), tokenizer=BertTokenizerFast(str(vocabulary))
)
# For each sentence the places of its words (each one letter and a blank) that come out as one entity.
expected = {
    "B-X I-X I-X": [(0, 5)],
    "I-X I-X I-Y": [(0, 3), (4, 5)],
    "B-X I-X E-X": [(0, 3), (4, 5)],
    "S-X S-X O": [(0, 3)],
    "B-X L-X U-X": [(0, 1), (2, 3), (4, 5)],
    "B-X M-X E-X": [(0, 1), (2, 3), (4, 5)],
    "X-B X-I O": [(0, 1), (2, 3)],
    "NOUN NOUN VERB": [(0, 3), (4, 5)],
}
changed = False
for tags, places in expected.items():
    words = [
        {"entity": tag, "score": np.float32(0.9), "index": number + 1, "word": "a", "start": 2 * number,
         "end": 2 * number + 1}
        for number, tag in enumerate(tags.split())
        if tag != "O"
    ]
    found = [(group["start"], group["end"]) for group in pipeline.group_entities(words)]
    changed |= found != places
    print("as known" if found == places else "CHANGED ", tags, found)
sys.exit(changed)
PYTHON
