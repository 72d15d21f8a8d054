#!/bin/sh
# A unigram model of SentencePiece and the same pieces and scores in the tokenizers library: of segmentations that are
# equally probable, long runs of one letter get different ones. Exits 1 if the behaviour has changed.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q sentencepiece==0.2.2 tokenizers==0.23.3
"$folder/venv/bin/python" - <<'PYTHON'
import io
import sys

import sentencepiece
import tokenizers
from tokenizers import models, pre_tokenizers

written = io.BytesIO()
sentencepiece.SentencePieceTrainer.train(
    sentence_iterator=iter(["the cat sat on a moon aaaa aaab aaa aa"] * 30), model_writer=written, vocab_size=24,
    model_type="unigram", hard_vocab_limit=False, minloglevel=2,
)
ours = sentencepiece.SentencePieceProcessor(model_proto=written.getvalue())
pieces = [(ours.id_to_piece(number), ours.get_score(number)) for number in range(ours.get_piece_size())]
theirs = tokenizers.Tokenizer(models.Unigram(pieces, unk_id=ours.unk_id(), byte_fallback=False))
theirs.pre_tokenizer = pre_tokenizers.Metaspace()
print("sentencepiece", sentencepiece.__version__, "tokenizers", tokenizers.__version__)
equal, as_probable = {}, {}
for length in (3, 5, 8, 10, 20, 50, 100, 200):
    first, second = ours.encode("a" * length, out_type=str), theirs.encode("a" * length).tokens
    equal[length], as_probable[length] = first == second, sorted(first) == sorted(second)
    print(f"{length} letters:", "equal" if equal[length] else f"{first[:4]}... and {second[:4]}...")
print("the same pieces in another order:", all(as_probable.values()))
is_as_seen = all(equal[length] for length in (3, 5, 8, 10)) and not (equal[50] or equal[100]) and all(as_probable.values())
sys.exit(not is_as_seen)
PYTHON
