"""SavedModels: a process with TensorFlow and its text operations alone gets from them what Python's methods return."""

import json
import subprocess
import sys

import numpy as np
import pytest

from electra_span import save_pretrained
from electra_span.config import UserError
from electra_span.export.saved_model import SavedModelError, write_saved_model
from electra_span.tokenization import ByteLevelBpeTokenizer
from electra_span.tokenization.byte_level_bpe import BpeDescription
from scripts import export_saved_model
from tests.electra_span.inference.tiny_text_models import (
    FACTS,
    LENGTH,
    MOOD,
    PLAIN,
    TAGS,
    TEXTS,
    make_text_model,
    sentence_piece,
)
from tests.electra_span.tokenization.tiny_tokenizers import BPE_VOCABULARY, MERGES
from tests.in_process import run_command

pytestmark = pytest.mark.filterwarnings("ignore::electra_span.inference.requests.TextCutWarning")

MASKED = ["the [MASK] sat.", "no mask", "[MASK][MASK] on", "the " * 30 + "[MASK]"]
WORDS = [["the", "cats", "", ""], ["sitting", "on", "a", "Café"]]
QUESTIONS = ["cat on mat", "", "the"]
CONTEXTS = ["A Café: on the mat, " * 9, "the cat", ""]
INPUTS = {"texts": TEXTS, "pairs": TEXTS[::-1], "words": WORDS, "questions": QUESTIONS, "contexts": CONTEXTS}

# Calls every signature of every folder that it is given, by an import of TensorFlow and its text operations alone.
RUNNER = """
import json, sys
import tensorflow as tf
import tensorflow_text

def plain(value):
    value = value.numpy()
    return [plain_list(row) for row in value.tolist()]

def plain_list(value):
    if isinstance(value, list):
        return [plain_list(each) for each in value]
    return value.decode() if isinstance(value, bytes) else value

asked = json.load(sys.stdin)
results = {}
for name, (folder, inputs) in asked.items():
    signatures = tf.saved_model.load(folder).signatures
    results[name] = {}
    for signature, function in signatures.items():
        own = {key: tf.constant(inputs[key]) for key in function.structured_input_signature[1]}
        results[name][signature] = {key: plain(value) for key, value in function(**own).items()}
        assert all(len(value) == len(inputs[next(iter(own))]) for value in results[name][signature].values()), signature
assert "electra_span" not in sys.modules
json.dump(results, open(sys.argv[1], "w"))
"""


@pytest.fixture(scope="module")
def models():
    return {
        "discriminator": make_text_model("discriminator"),
        "generator": make_text_model("generator"),
        "two_towers": make_text_model("two_towers"),
        "pieces": make_text_model("generator", sentence_piece()),
        "answers": make_text_model("tasks", heads=(FACTS,)),
        "tasks": make_text_model("tasks", heads=(MOOD, LENGTH, PLAIN, TAGS)),
    }


def texts_for(model, name):
    mask = model.tokenizer.special_tokens.mask
    return TEXTS if name in ("discriminator", "answers", "tasks") else [text.replace("[MASK]", mask) for text in MASKED]


@pytest.fixture(scope="module")
def served(models, tmp_path_factory):
    """What the signatures of each model return in a process of their own."""
    folder = tmp_path_factory.mktemp("saved_models")
    asked = {}
    for name, model in models.items():
        write_saved_model(model, folder / name, num_candidates=3, num_answers=4, no_answer_threshold=0.0)
        asked[name] = str(folder / name), {**INPUTS, "texts": texts_for(model, name)}
    command = [sys.executable, "-I", "-c", RUNNER, str(folder / "results.json")]
    done = subprocess.run(command, input=json.dumps(asked), cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads((folder / "results.json").read_text())


def rows_of(outputs):
    """Returns the outputs of each text by their names."""
    return [dict(zip(outputs, values, strict=True)) for values in zip(*outputs.values(), strict=True)]


def test_each_model_has_the_signatures_of_what_it_can_do(served):
    of_encoder = {"embed", "embed_tokens"}
    tasks = {f"{name}_{task}" for name in ("classify", "classify_pairs") for task in ("mood", "length")}
    assert {name: set(signatures) - {"serving_default"} for name, signatures in served.items()} == {
        "discriminator": {"replaced", *of_encoder},
        "generator": {"fill_mask", *of_encoder},
        "two_towers": {"fill_mask"},
        "pieces": {"fill_mask", *of_encoder},
        "answers": {"answer", *of_encoder},
        "tasks": {*tasks, "answer", "tag", "tag_words", *of_encoder},
    }
    firsts = ("replaced", "fill_mask", "fill_mask", "fill_mask", "answer", "classify_mood")
    for signatures, first in zip(served.values(), firsts, strict=True):
        assert signatures["serving_default"] == signatures[first]


@pytest.mark.parametrize("name", ["classify", "classify_pairs"])
def test_labels_and_scores_are_those_of_python(models, served, name):
    pairs = INPUTS["pairs"] if name == "classify_pairs" else None
    labels = models["tasks"].classify(TEXTS, pairs, task="mood")
    for row, wanted in zip(rows_of(served["tasks"][f"{name}_mood"]), labels, strict=True):
        assert (row["label"], row["labels"]) == (wanted.label, list(wanted.probabilities))
        np.testing.assert_allclose(row["probabilities"], list(wanted.probabilities.values()), atol=1e-5)
    scores = [score.score for score in models["tasks"].classify(TEXTS, pairs, task="length")]
    np.testing.assert_allclose(served["tasks"][f"{name}_length"]["score"], scores, atol=1e-4)
    lengths = [len(ids) for ids in models["tasks"].tokenizer.encode(TEXTS)]
    if pairs is None:
        assert served["tasks"]["classify_mood"]["is_cut"] == [length > 14 for length in lengths]


@pytest.mark.parametrize("name", ["tag", "tag_words"])
def test_tags_are_those_of_python(models, served, name):
    texts = TEXTS if name == "tag" else [[word for word in words if word] for words in WORDS]
    for row, wanted in zip(rows_of(served["tasks"][name]), models["tasks"].tag(texts), strict=True):
        count = len(wanted.words)
        columns = [row[key] for key in ("words", "starts", "ends", "tags")]
        assert [word[:4] for word in wanted.words] == list(zip(*columns, strict=True))[:count]
        np.testing.assert_allclose(row["probabilities"][:count], [word.probability for word in wanted.words], atol=1e-5)
        assert set(row["tags"][count:]) <= {""}
        assert set(row["starts"][count:]) <= {-1}


@pytest.mark.parametrize(("model", "task"), [("answers", "facts"), ("tasks", "plain")])
def test_answers_are_those_of_python(models, served, model, task):
    found = models[model].answer(QUESTIONS, CONTEXTS, task=task, num_answers=4, no_answer_threshold=0.0)
    for row, wanted in zip(rows_of(served[model]["answer"]), found, strict=True):
        count = len(wanted.answers)
        columns = [row[key] for key in ("answers", "starts", "ends")]
        assert [answer[:3] for answer in wanted.answers] == list(zip(*columns, strict=True))[:count]
        np.testing.assert_allclose(row["probabilities"][:count], [a.probability for a in wanted.answers], atol=1e-5)
        np.testing.assert_allclose(row["no_answer_score"], wanted.no_answer_score, atol=1e-4)
        assert row["has_answer"] == wanted.has_answer
        assert row["answers"][count:] == [""] * (4 - count)


@pytest.mark.parametrize("name", ["discriminator", "generator", "answers", "tasks", "pieces"])
def test_vectors_are_those_of_python(models, served, name):
    texts = texts_for(models[name], name)
    for pooling in ("first", "mean"):
        np.testing.assert_allclose(
            served[name]["embed"][pooling], models[name].embed(texts, pooling=pooling), atol=1e-5
        )
    found = models[name].embed(texts, pooling="none")
    for row, wanted in zip(rows_of(served[name]["embed_tokens"]), found, strict=True):
        count = len(wanted.tokens)
        assert row["tokens"][:count] == wanted.tokens
        assert list(zip(row["starts"], row["ends"], strict=True))[:count] == wanted.places
        np.testing.assert_allclose(np.array(row["vectors"])[:count], wanted.vectors, atol=1e-5)
        assert not np.any(np.array(row["vectors"])[count:])


def test_replaced_tokens_are_those_of_python(models, served):
    found = models["discriminator"].replaced_tokens(TEXTS)
    for row, wanted in zip(rows_of(served["discriminator"]["replaced"]), found, strict=True):
        columns = [row[key] for key in ("tokens", "starts", "ends")]
        assert [token[:3] for token in wanted] == list(zip(*columns, strict=True))[: len(wanted)]
        np.testing.assert_allclose(row["probabilities"][: len(wanted)], [t.probability for t in wanted], atol=1e-5)


@pytest.mark.parametrize("name", ["generator", "two_towers", "pieces"])
def test_filled_masks_are_those_of_python(models, served, name):
    model = models[name]
    texts, rows = texts_for(model, name), rows_of(served[name]["fill_mask"])
    for text, row in zip(texts, rows, strict=True):
        mask = model.tokenizer.special_tokens.mask
        masks = model.fill_mask([text], 3)[0] if mask in text else []
        for place in range(len(row["starts"])):
            fills = masks[place] if place < len(masks) else []
            assert row["tokens"][place] == [fill.token for fill in fills] + [""] * (3 - len(fills))
            assert row["texts"][place] == [fill.text for fill in fills] + [""] * (3 - len(fills))
            np.testing.assert_allclose(
                row["probabilities"][place][: len(fills)], [f.probability for f in fills], atol=1e-5
            )
            if fills:
                assert text[row["starts"][place] : row["ends"][place]] == mask


def test_a_tokenizer_that_no_graph_can_hold_is_refused(tmp_path):
    tokenizer = ByteLevelBpeTokenizer(BpeDescription(vocabulary=BPE_VOCABULARY, merges=MERGES))
    model = make_text_model("discriminator", tokenizer)
    with pytest.raises(SavedModelError, match="no operations for byte-level BPE"):
        write_saved_model(model, tmp_path / "out")
    assert model.replaced_tokens(["the cat"])[0][0].token == "the"
    model.tokenizer = None
    with pytest.raises(SavedModelError, match="this model's folder has none"):
        write_saved_model(model, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_command_writes_what_it_compared_with_the_model(tmp_path, capsys):
    model = make_text_model("generator")
    save_pretrained(model, model.tokenizer, tmp_path / "model")
    parser = export_saved_model.make_parser()
    arguments = [str(tmp_path / "model"), str(tmp_path / "out"), "--num-candidates", "2"]
    export_saved_model.main(parser.parse_args(arguments))
    output = capsys.readouterr().out
    assert "fill_mask(texts) -> ends, is_cut, probabilities, starts, texts, tokens\n" in output
    assert output.splitlines()[-1].startswith(f"wrote {tmp_path / 'out'}, which differs from the model by at most")
    assert {file.name for file in (tmp_path / "out" / "assets.extra").iterdir()} >= {"config.json", "vocab.txt"}
    with pytest.raises(UserError, match="OUT must be a new or an empty folder"):
        export_saved_model.main(parser.parse_args(arguments))


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--num-answers", "21"], "argument --num-answers: must be a whole number from 1 to 20. Received: '21'"),
        (["--num-candidates", "0"], "argument --num-candidates: must be a whole number from 1 to"),
    ],
)
def test_mistakes_in_flags_are_named_before_anything_is_loaded(tmp_path, flags, message):
    assert message in run_command("scripts.export_saved_model", "none", tmp_path / "out", *flags).mistake
