"""Taking turns: who runs what when, and what counts of it."""

import numpy as np

from benchmarks.finetuning import Contender, settled, spread, take_turns


def test_all_take_turns_and_run_all_their_batches_in_every_round():
    log = []

    def runner(name):
        return lambda batches: [(log.append((name, batch)) or 10.0 * len(log), 1.0) for batch in batches]

    contenders = {name: Contender(range(number), runner(name)) for name, number in (("many", 5), ("few", 2))}
    times = take_turns(contenders, num_rounds=3, num_turns=2)
    of_round = [("many", 0), ("many", 1), ("few", 0), ("many", 2), ("many", 3), ("many", 4), ("few", 1)]
    assert log == 3 * of_round
    assert {name: array.shape for name, array in times.items()} == {"many": (3, 5, 2), "few": (3, 2, 2)}
    np.testing.assert_array_equal(times["few"][:, :, 0], [[30, 70], [100, 140], [170, 210]])


def test_the_first_round_and_outliers_do_not_count():
    times = np.full((6, 2, 2), [[1.0, 3.0], [2.0, 5.0]])
    times[0] = 100
    times[3, 0] = 100
    np.testing.assert_array_equal(settled(times), [1.5, 4.0])


def test_chosen_batches_are_spread_over_all_sizes():
    sizes = np.random.default_rng(0).permutation(1000)
    chosen = spread(sizes, 4)
    assert sorted(sizes[chosen]) == [125, 375, 625, 875]
