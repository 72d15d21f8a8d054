"""Fine-tuning steps of the peer, Hugging Face transformers on PyTorch, a few at a time as they are asked for.

Reads rows from an .npz file: input_ids, segment_ids and row_splits, and either labels or start_positions and
end_positions. Prints a JSON line that describes the peer; then, for every line of numbers of batches on its input, runs
these and prints the seconds of each, by the clock and of the processor. A step is what transformers' Trainer does: rows
drawn at random, padded to the longest of a batch; forward, backward, clipping to norm 1, AdamW. Needs torch and
transformers (the `peer` extra); imports no TensorFlow, so that it can run in an environment of its own.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers

SIZES = {"small": {"embedding_size": 128, "hidden_size": 256}, "base": {"embedding_size": 768, "hidden_size": 768}}
VOCAB_SIZE, PAD_ID = 30522, 0
LEARNING_RATE = 1e-4
_GROUPED_BATCHES = 50  # of transformers' sampler of rows of similar lengths


def read_rows(path: Path) -> dict[str, np.ndarray]:
    """Returns the arrays of a file of rows."""
    with np.load(path) as archive:
        return dict(archive)


def epoch(lengths: np.ndarray, batch_size: int, *, is_grouped: bool) -> list[np.ndarray]:
    """Returns the rows of each batch of an epoch.

    Args:
        lengths: int [n], tokens of each row.
        batch_size: B.
        is_grouped: rows of fifty batches are sorted by length together, as under `group_by_length`.
    """
    order = np.random.default_rng(0).permutation(len(lengths))
    if is_grouped:
        size = _GROUPED_BATCHES * batch_size
        pieces = np.split(order, range(size, len(order), size))
        order = np.concatenate([piece[np.argsort(-lengths[piece], kind="stable")] for piece in pieces])
    return np.split(order, range(batch_size, len(order), batch_size))[: len(order) // batch_size]


def make_batch(rows: dict[str, np.ndarray], chosen: np.ndarray) -> dict[str, torch.Tensor]:
    """Returns some rows padded to the longest of them, in the names of transformers."""
    starts, ends = rows["row_splits"][chosen], rows["row_splits"][chosen + 1]
    places = starts[:, None] + np.arange((ends - starts).max())  # [B, L]
    is_token = places < ends[:, None]
    places = np.where(is_token, places, 0)
    arrays: dict[str, np.ndarray] = {
        "input_ids": np.where(is_token, rows["input_ids"][places], PAD_ID),
        "token_type_ids": np.where(is_token, rows["segment_ids"][places], 0),
        "attention_mask": is_token,
        **{name: rows[name][chosen] for name in ("labels", "start_positions", "end_positions") if name in rows},
    }
    return {name: torch.from_numpy(array.astype(np.int64)) for name, array in arrays.items()}


def build_model(model_size: str, num_labels: int, attention: str) -> Any:
    """Returns transformers' model with random weights: for questions where num_labels is 0, else for classes."""
    sizes: dict[str, Any] = SIZES[model_size]
    config = transformers.ElectraConfig(
        vocab_size=VOCAB_SIZE,
        num_attention_heads=sizes["hidden_size"] // 64,
        intermediate_size=4 * sizes["hidden_size"],
        num_labels=num_labels or 2,
        attn_implementation=attention,
        **sizes,
    )
    kind = transformers.ElectraForSequenceClassification if num_labels else transformers.ElectraForQuestionAnswering
    return kind(config).train()


def make_step(model: Any, rows: dict[str, np.ndarray], precision: str) -> Callable[[np.ndarray], tuple[float, float]]:
    """Returns a function of the rows of a batch that makes one update and gives its seconds, of both kinds."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE, weight_decay=0.01, fused=True)

    def step(chosen: np.ndarray) -> tuple[float, float]:
        start, processor_start = time.perf_counter(), time.process_time()
        batch = make_batch(rows, chosen)
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "mixed_bfloat16"):
            loss = model(**batch).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        return time.perf_counter() - start, time.process_time() - processor_start

    return step


def main() -> None:
    """Serves steps until the input ends."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=Path, required=True)
    parser.add_argument("--model-size", choices=sorted(SIZES), default="small")
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--precision", choices=["float32", "mixed_bfloat16"], default="float32")
    parser.add_argument("--attention", choices=["eager", "sdpa"], default="eager")
    parser.add_argument("--num-threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--grouped", action="store_true", help="rows of similar lengths, as under group_by_length")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.num_threads)
    torch.manual_seed(0)
    rows = read_rows(arguments.rows)
    lengths = np.diff(rows["row_splits"])
    batches = epoch(lengths, arguments.batch_size, is_grouped=arguments.grouped)
    num_labels = int(rows["labels"].max()) + 1 if "labels" in rows else 0
    model = build_model(arguments.model_size, num_labels, arguments.attention)
    step = make_step(model, rows, arguments.precision)
    description = {
        "num_parameters": sum(parameter.numel() for parameter in model.parameters()),
        "longest": [int(lengths[batch].max()) for batch in batches],
        "torch": torch.__version__,
        "transformers": transformers.__version__,
    }
    print(json.dumps(description), flush=True)
    for line in sys.stdin:
        print(json.dumps([step(batches[int(number)]) for number in line.split()]), flush=True)


if __name__ == "__main__":
    main()
