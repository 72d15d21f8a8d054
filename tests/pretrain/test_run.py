"""What training says about itself beside its numbers."""

import pytest

from configure_pretraining import PretrainingConfig
from pretrain.run import is_discriminator_at_chance


@pytest.mark.parametrize(
    ("auc", "step", "expected"),
    [(0.51, 2000, False), (0.51, 2001, True), (0.54, 9000, True), (0.56, 9000, False), (None, 9000, False)],
)
def test_a_discriminator_near_chance_after_its_warmup_is_noticed(auc, step, expected):
    config = PretrainingConfig.from_hparams(model_name="m", data_dir="d", hparams={"num_warmup_steps": 100})
    assert is_discriminator_at_chance({"disc_auc": auc} if auc else {"mlm_loss": 3.0}, step, config) is expected


def test_a_long_warmup_is_waited_for():
    config = PretrainingConfig.from_hparams(model_name="m", data_dir="d", hparams={"num_warmup_steps": 10_000})
    assert not is_discriminator_at_chance({"disc_auc": 0.5}, 10_000, config)
    assert is_discriminator_at_chance({"disc_auc": 0.5}, 10_001, config)
