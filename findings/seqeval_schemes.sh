#!/bin/sh
# seqeval's default mode and tags that are not BIO or BIOES: what a valid BILOU file, tags with the position last, and
# parts of speech are scored as. Exits 1 if the behaviour has changed.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q "setuptools<81" setuptools_scm wheel numpy scikit-learn
"$folder/venv/bin/pip" install -q --no-build-isolation seqeval==1.2.2
"$folder/venv/bin/python" -W ignore - <<'PYTHON'
import importlib.metadata
import sys

from seqeval.metrics import f1_score
from seqeval.metrics.sequence_labeling import get_entities
from seqeval.scheme import BILOU, IOB2, Entities

print("seqeval", importlib.metadata.version("seqeval"))
seen = {
    "two units of BILOU side by side are one entity": get_entities(["U-X", "U-X"]) == [("X", 0, 1)],
    "strict BILOU has two": len(Entities([["U-X", "U-X"]], BILOU).entities[0]) == 2,
    "a unit after a last word goes on with its entity": get_entities(["B-X", "L-X", "U-X"]) == [("X", 0, 2)],
    "of PER-B PER-I the position is the kind": get_entities(["PER-B", "PER-I"]) == [("B", 0, 0), ("I", 1, 1)],
    "parts of speech are entities without their first letter": get_entities(["NOUN", "VERB"])
    == [("OUN", 0, 0), ("ERB", 1, 1)],
    "and have an F1 of 0.4 where 2 of 3 tags are right": round(
        f1_score([["NOUN", "NOUN", "VERB"]], [["NOUN", "ADJ", "VERB"]]), 9
    )
    == 0.4,
    "strict IOB2 finds nothing in a valid IOB1 sentence": Entities([["I-X", "I-X", "O"]], IOB2).entities == [[]],
}
for behaviour, is_so in seen.items():
    print("yes" if is_so else "NO ", behaviour)
sys.exit(not all(seen.values()))
PYTHON
