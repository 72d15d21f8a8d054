#!/bin/sh
# tokenizers: the "id" of an added token in tokenizer.json is not used. The token is numbered from the end of the model
# on instead, without an error; written again, the file has the other id.
# usage: sh findings/tokenizers_added_token_ids.sh [VERSION]; exits 1 where the behaviour is another one.
set -eu
version=${1:-0.23.3}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q "tokenizers==$version"
"$folder/venv/bin/python" - <<'PYTHON'
import json
import sys

import tokenizers

token = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": False}
content = {
    "version": "1.0",
    "added_tokens": [{"id": 7, "content": "<seven>", **token}],
    "pre_tokenizer": {"type": "WhitespaceSplit"},
    "model": {"type": "WordLevel", "vocab": {"a": 0, "b": 1, "[UNK]": 2}, "unk_token": "[UNK]"},
}
tokenizer = tokenizers.Tokenizer.from_str(json.dumps(content))
ids = tokenizer.encode("a <seven> b").ids
written = json.loads(tokenizer.to_str())["added_tokens"][0]["id"]
print(f"tokenizers {tokenizers.__version__}: id 7 in the file, ids {ids}, id {written} when written again")
sys.exit(0 if (ids, written) == ([0, 3, 1], 3) else 1)
PYTHON
