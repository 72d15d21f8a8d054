import json
import subprocess
import sys

import pytest

from configure_pretraining import PretrainingConfig
from scripts import describe_model
from tests.in_process import run_command


def configure(**hparams) -> PretrainingConfig:
    return PretrainingConfig.from_hparams(model_name="m", data_dir="d", hparams=hparams)


def describe(*arguments: str) -> str:
    command = [sys.executable, describe_model.__file__, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def mistake(*arguments: str) -> str:
    command = [sys.executable, describe_model.__file__, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    return done.stderr


@pytest.mark.parametrize(
    ("size", "rows"),
    [
        ("small", (13_483_008, 66_049, 13_549_057, 4_580_928, 608_064, 39_098, 14_196_219)),
        ("base", (108_891_648, 591_361, 109_483_009, 33_511_168, 9_673_984, 229_434, 119_386_427)),
        ("large", (334_092_288, 1_050_625, 335_142_913, 50_999_552, 19_216_640, 295_738, 354_655_291)),
    ],
)
def test_published_sizes_have_their_recorded_parameters(size, rows):
    names = (
        "encoder", "discriminator head", "discriminator", "generator encoder", "generator encoder's own",
        "masked LM head", "all trained",
    )  # fmt: skip
    parameters = describe_model.run_parameters(configure(preset=f"electra-{size}"))
    assert tuple(parameters[name] for name in names) == rows


@pytest.mark.parametrize("variant", ["small", "small_pp", "tied", "untied_embeddings", "uniform", "mlm", "electric"])
def test_all_trained_is_the_size_of_the_originals_variables(golden, variant):
    hparams = json.loads(golden(f"tf1/{variant}/meta.json").read_text())["config"]
    del hparams["model_name"]
    count = 0
    for line in golden(f"tf1/{variant}/variables.txt").read_text().splitlines():
        if " float32 " in line:
            shape = json.loads(line.split(" float32 ")[1])
            size = 1
            for axis in shape:
                size *= axis
            count += size
    assert describe_model.run_parameters(configure(**hparams))["all trained"] == count


def test_size_is_described_with_the_papers_training_flops():
    text = describe("small")
    assert "13,549,057" in text
    assert "training: 1,000,000 steps of 128 sequences of 128" in text
    assert "training FLOPs, counted as in the ELECTRA paper: 1.294e+18" in text


def test_hparams_change_the_described_run():
    text = describe("small", "--hparams", '{"electra_objective": false, "num_train_steps": 1450000}')
    assert "1.419e+18" in text
    assert "discriminator" not in text


def test_folder_of_a_run_is_described_from_its_config(tmp_path):
    (tmp_path / "config.json").write_text(configure(preset="electra-base").to_json())
    assert describe(str(tmp_path)) == describe("base")


def test_published_folder_is_described(golden):
    text = describe(str(golden("hf/tiny/discriminator")))
    assert text.splitlines()[-1].split() == ["discriminator", "3,719"]


def test_mistakes_are_one_line(tmp_path):
    assert "'smal' is neither a size (small, base, large) nor a folder" in mistake("smal")
    assert "config.json: cannot be read (No such file or directory)" in mistake(str(tmp_path))
    assert "did you mean 'vocab_size'?" in mistake("small", "--hparams", '{"vocab_siz": 3}')
    (tmp_path / "config.json").write_text("{}")
    assert "neither a run's configuration nor a published model's" in mistake(str(tmp_path))
    (tmp_path / "config.json").write_text('{"architectures": ["ElectraModel"]}')
    assert "leave them out" in mistake(str(tmp_path), "--hparams", '{"seed": 1}')


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[",
        "[]",
        "7",
        "[" * 5000,
        '{"architectures": 7}',
        '{"architectures": [7]}',
        '{"architectures": [], "hidden_size": "x"}',
        '{"model_name": "m", "data_dir": []}',
        '{"model_name": "m", "data_dir": "d", "seed": "x"}',
        "\ud800",
    ],
)
def test_a_damaged_config_is_one_line_that_names_the_file(tmp_path, content):
    (tmp_path / "config.json").write_bytes(content.encode("utf-8", "surrogatepass"))
    assert "config.json" in run_command("scripts.describe_model", str(tmp_path)).mistake


def test_two_towers_are_described():
    parameters = describe_model.run_parameters(configure(electric_objective=True))
    one = describe_model.run_parameters(configure())
    embeddings = parameters["embeddings"]
    assert parameters["generator's two encoders"] == 2 * one["generator encoder"] - embeddings
    assert parameters["generator encoders' own"] == 2 * one["generator encoder's own"]
    published = {**vars(configure().generator_encoder()), "architectures": ["TwoTowerElectraForMaskedLM"]}
    rows = [line.rsplit(maxsplit=1) for line in describe_model.describe_published(published)[1:]]
    encoders = 2 * one["generator encoder"] - embeddings
    assert ["two encoders", f"{encoders:,}"] in rows
    assert rows[-1] == ["generator", f"{encoders + parameters['cloze head']:,}"]
