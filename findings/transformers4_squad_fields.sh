#!/bin/sh
# transformers 4, SquadV2Processor and squad_evaluate: `"is_impossible": "false"` makes a question impossible, its answer
# is lost; a placeholder `{"text": "", "answer_start": -1}` is trained on as the last word of the context, and in an
# evaluation it counts as a question that has an answer, which a model gets right by answering nothing. No warning.
# usage: sh findings/transformers4_squad_fields.sh [VERSION]; exits 1 where the behaviour is another one.
set -eu
version=${1:-4.57.6}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat > "$folder/read.py" <<'PYTHON'
import json
import pathlib
import sys

import transformers
from transformers.data.metrics.squad_metrics import squad_evaluate
from transformers.data.processors.squad import SquadV2Processor

folder = pathlib.Path(sys.argv[1])
placeholder, answer = {"text": "", "answer_start": -1}, {"text": "John", "answer_start": 15}
qas = [
    {"id": "a", "question": "who?", "answers": [answer], "is_impossible": "false"},
    {"id": "b", "question": "who?", "answers": [placeholder]},
]
article = {"title": "t", "paragraphs": [{"context": "The leader was John Smith.", "qas": qas}]}
for name in ("train-v2.0.json", "dev-v2.0.json"):
    (folder / name).write_text(json.dumps({"data": [article]}))
train = SquadV2Processor().get_train_examples(str(folder))
dev = SquadV2Processor().get_dev_examples(str(folder))
trained_on = [example.doc_tokens[example.start_position] if not example.is_impossible else None for example in train]
scores = squad_evaluate(dev, {"a": "", "b": ""})
found = (train[0].answer_text, trained_on[1], scores["HasAns_total"], scores["HasAns_exact"], scores["NoAns_total"])
print(f"transformers {transformers.__version__}: answer of 'false': {found[0]}; the placeholder is trained on as {found[1]!r};")
print(f"  with an answer: {found[2]}, right by answering nothing: {found[3]} %; without an answer: {found[4]}")
sys.exit(0 if found == (None, "Smith.", 1, 100.0, 1) else 1)
PYTHON
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q "transformers==$version"
"$folder/venv/bin/python" "$folder/read.py" "$folder" 2>/dev/null
