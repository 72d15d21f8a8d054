#!/bin/sh
# transformers 5: of a folder of class BertTokenizerFast, AutoTokenizer takes only the vocabulary of tokenizer.json. An
# NFC normalizer becomes BERT's, which lowers, and max_input_chars_per_word becomes 100: the same folder has other ids
# than in transformers 4, without a warning.
# usage: sh findings/transformers5_rebuilds_bert.sh [OLD NEW]; exits 1 where the behaviour is another one.
set -eu
old=${1:-4.57.6} new=${2:-5.24.0}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat > "$folder/read.py" <<'PYTHON'
import json
import pathlib
import sys

import transformers

transformers.logging.set_verbosity_error()
folder = pathlib.Path(sys.argv[1])
special = {"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3, "[MASK]": 4}
content = {
    "version": "1.0",
    "added_tokens": [],
    "normalizer": {"type": "NFC"},
    "pre_tokenizer": {"type": "BertPreTokenizer"},
    "model": {
        "type": "WordPiece",
        "unk_token": "[UNK]",
        "continuing_subword_prefix": "##",
        "max_input_chars_per_word": 200,
        "vocab": {**special, "Über": 5, "uber": 6, "x": 7, "##x": 8},
    },
}
folder.mkdir(exist_ok=True)
(folder / "tokenizer.json").write_text(json.dumps(content), encoding="utf-8")
(folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "BertTokenizerFast"}), encoding="utf-8")
tokenizer = transformers.AutoTokenizer.from_pretrained(str(folder))
ids = tokenizer(["Über", "x" * 150], add_special_tokens=False)["input_ids"]
print(f"transformers {transformers.__version__}: Über is {ids[0]}, a word of 150 letters has {len(ids[1])} tokens")
found = (ids[0], len(ids[1]))
sys.exit(0 if found == (([5], 150) if sys.argv[2] == "old" else ([6], 1)) else 1)
PYTHON
for which in old new; do
  eval "version=\$$which"
  python3 -m venv "$folder/$which"
  "$folder/$which/bin/pip" install -q "transformers==$version"
  "$folder/$which/bin/python" "$folder/read.py" "$folder/tokenizer" "$which" 2>/dev/null
done
