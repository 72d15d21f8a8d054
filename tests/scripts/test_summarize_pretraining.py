import json

import numpy as np
import pytest
import safetensors.numpy

from configure_pretraining import PretrainingConfig
from scripts import summarize_pretraining
from tests.in_process import run_command


@pytest.fixture
def model_dir(tmp_path):
    config = PretrainingConfig.from_hparams(
        model_name="mine", data_dir=str(tmp_path), hparams={"train_batch_size": 4, "max_seq_length": 11}
    )
    folder = tmp_path / "models" / "mine"
    (folder / "results").mkdir(parents=True)
    (folder / "config.json").write_text(config.to_json())
    after = {"step": 30, "mlm_accuracy": 0.314, "mlm_loss": 4.25, "disc_auc": 0.876, "disc_loss": 0.3}
    (folder / "results" / "unsup_results.json").write_text(json.dumps(after))
    evaluations = [{"step": 0, "mlm_accuracy": 0.001, "mlm_loss": 9.0, "disc_auc": 0.5, "disc_loss": 0.7}, after]
    (folder / "eval_log.jsonl").write_text("".join(json.dumps(each) + "\n" for each in evaluations))
    return folder


def _lines(model_dir) -> list[list[str]]:
    return [line.split() for line in summarize_pretraining.summary_lines(model_dir)]


def test_summary_shows_accuracy_and_auc_before_and_after(model_dir):
    lines = _lines(model_dir)
    assert ["masked", "LM", "accuracy", "0.1%", "31.4%"] in lines
    assert ["discriminator", "AUC", "0.500", "0.876"] in lines


def test_summary_leaves_out_what_the_objective_has_not(model_dir):
    (model_dir / "results" / "unsup_results.json").write_text('{"step": 30, "mlm_accuracy": 0.2, "mlm_loss": 5.0}')
    titles = [" ".join(line[:2]) for line in _lines(model_dir)]
    assert "masked LM" in titles
    assert "discriminator AUC" not in titles


@pytest.mark.parametrize("log", [None, "", '{"step": 20, "mlm_accuracy": 0.2}\n'])
def test_run_without_an_evaluation_at_the_start_shows_no_number_before(model_dir, log):
    (model_dir / "eval_log.jsonl").unlink()
    if log is not None:
        (model_dir / "eval_log.jsonl").write_text(log)
    assert ["masked", "LM", "accuracy", "-", "31.4%"] in _lines(model_dir)


def test_summary_counts_steps_tokens_and_parameters(model_dir):
    (model_dir / "discriminator").mkdir()
    tensors = {"kernel": np.zeros((3, 5), np.float32), "bias": np.zeros(5, np.float32)}
    safetensors.numpy.save_file(tensors, model_dir / "discriminator" / "model.safetensors", metadata={"format": "pt"})
    summary = "\n".join(summarize_pretraining.summary_lines(model_dir))
    assert "30 steps of 4 sequences of 11: 1,320 tokens" in summary
    assert "discriminator: 20 parameters" in summary


def test_training_time_adds_up_the_windows_of_the_log(model_dir):
    windows = [{"step": 10, "tokens_per_second": 44.0}, {"step": 30, "tokens_per_second": 88.0}]
    (model_dir / "train_log.jsonl").write_text("".join(json.dumps(each) + "\n" for each in windows))
    assert "0.3 minutes of training steps, 66 tokens/s" in list(summarize_pretraining.summary_lines(model_dir))


def test_summary_names_only_places_that_are_there(model_dir):
    lines = _lines(model_dir)
    assert ["evaluation", "log", str(model_dir / "eval_log.jsonl")] in lines
    assert not any(line and line[0] == "checkpoints" for line in lines)


def test_run_without_results_is_an_error_with_a_remedy(model_dir):
    (model_dir / "results" / "unsup_results.json").unlink()
    with pytest.raises(summarize_pretraining.SummaryError, match=r"unsup_results\.json is missing.*do_eval=true"):
        list(summarize_pretraining.summary_lines(model_dir))


@pytest.mark.parametrize(
    "content",
    [
        "", "[", "[]", "7", "null", "{}", '{"step": "x"}', '{"step": NaN}', '{"step": 1e999}', '{"step": -1}',
        '{"step": 1, "mlm_loss": %s}' % ("9" * 400), "[" * 5000, '{"n": %s}' % ("9" * 4301),
    ],
)  # fmt: skip
@pytest.mark.parametrize("file", ["config.json", "results/unsup_results.json"])
def test_a_damaged_file_is_one_line_that_names_it(model_dir, file, content):
    (model_dir / file).write_text(content)
    assert file in run_command("scripts.summarize_pretraining", str(model_dir)).mistake


@pytest.mark.parametrize("content", ["no weights", "", "\0" * 100])
def test_damaged_weights_are_one_line_that_names_them(model_dir, content):
    (model_dir / "discriminator").mkdir()
    (model_dir / "discriminator" / "model.safetensors").write_text(content)
    assert "discriminator/model.safetensors" in run_command("scripts.summarize_pretraining", str(model_dir)).mistake


def test_lines_of_logs_that_are_damaged_are_passed_over(model_dir):
    huge = b'{"step": 1, "mlm_loss": ' + b"9" * 400 + b"}"
    lines = [b"[1]", b"7", b'{"step": NaN}', huge, b'{"step": "x"}', b'{"step": 3}', b"\xff", b'{"step": 1']
    for log in ("train_log.jsonl", "eval_log.jsonl"):
        (model_dir / log).write_bytes(b"\n".join(lines))
    assert run_command("scripts.summarize_pretraining", str(model_dir)).status == 0
