"""The comparison of objectives: equal numbers of operations, runs made once, a table with spreads."""

import json

import pytest

from electra_span.config import UserError
from scripts import compare_objectives
from scripts.compare_objectives import equal_steps, table

BUDGET = 1e15


def _operations(hparams):
    stages = compare_objectives._configure(hparams).stages()
    return [stage.num_train_steps * compare_objectives._flops_per_step(stage) for stage in stages]


@pytest.mark.parametrize("name", [name for name in compare_objectives._RUNS if name != "untrained"])
def test_every_run_takes_the_same_number_of_operations(name):
    hparams, _ = compare_objectives._RUNS[name]
    operations = _operations({**hparams, **equal_steps(hparams, BUDGET)})
    assert sum(operations) == pytest.approx(BUDGET, rel=1e-3)
    assert max(operations) == pytest.approx(min(operations), rel=1e-3)


def test_the_table_has_means_and_spreads_and_leaves_out_what_a_run_has_not():
    lines = [
        {"run": "BERT", "seed": seed, "step": 30, "mlm_loss": loss, "probe_accuracy": 70.0}
        for seed, loss in ((1, 5.0), (2, 5.5))
    ]
    heading, _, row = table([*lines, {"run": "unknown", "seed": 1}])
    assert [cell.strip() for cell in row.split("|")] == [
        "", "BERT", "2", "30", "5.250 ± 0.354", "", "", "", "", "", "70.0", "",
    ]  # fmt: skip
    assert heading.count("|") == row.count("|")


def test_a_run_that_is_recorded_is_not_made_again(tmp_path, monkeypatch, capsys):
    made = []

    def run(name, seed, arguments):
        made.append((name, seed))
        return {"run": name, "seed": seed, "step": 1, "probe_accuracy": 50.0}

    monkeypatch.setattr(compare_objectives, "_run", run)
    results = tmp_path / "results.jsonl"
    command = ["--data-dir", "d", "--probe-dir", "p", "--results", str(results)]
    first, both = (["--runs", *names] for names in (["BERT"], ["BERT", "SpanElectra, GDES"]))
    for runs in (first, both):
        compare_objectives.main(compare_objectives.make_parser().parse_args([*command, *runs]))
    assert made == [("BERT", 1), ("BERT", 2), ("BERT", 3), ("SpanElectra, GDES", 1)]
    assert [json.loads(line)["run"] for line in results.read_text().splitlines()] == [name for name, _ in made]
    assert "| SpanElectra, GDES | 1 | 1 |" in capsys.readouterr().out
    compare_objectives.main(compare_objectives.make_parser().parse_args([*command, "--only-table"]))
    assert len(made) == 4


def test_a_line_that_a_crash_cut_is_dropped_and_a_wrong_one_is_an_error_with_its_number(tmp_path, monkeypatch):
    monkeypatch.setattr(compare_objectives, "_run", lambda name, seed, arguments: {"run": name, "seed": seed})
    results = tmp_path / "results.jsonl"
    lines = [json.dumps({"run": "BERT", "seed": seed}) for seed in (1, 2)]
    results.write_text("\n".join([*lines, '{"run": "BE']), encoding="utf-8")
    command = ["--data-dir", "d", "--probe-dir", "p", "--results", str(results), "--runs", "BERT"]
    compare_objectives.main(compare_objectives.make_parser().parse_args(command))
    assert [json.loads(line)["seed"] for line in results.read_text().splitlines()] == [1, 2, 3]
    for wrong in ('{"n": 1', "[" * 100_000, "9" * 5000, "[]"):
        results.write_text(f"{lines[0]}\n{wrong}\n", encoding="utf-8")
        with pytest.raises(UserError, match=r"results\.jsonl, line 2: "):
            compare_objectives.main(compare_objectives.make_parser().parse_args(command))
