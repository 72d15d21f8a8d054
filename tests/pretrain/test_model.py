"""The default pair of models: what is shared, what gradients reach, and how training starts."""

import functools
import math

import numpy as np
import pytest
import tensorflow as tf

from configure_pretraining import PretrainingConfig
from electra_span.config import EncoderConfig
from electra_span.objective.corruption import corrupt_batch
from electra_span.objective.losses import LossWeights, joint_losses
from electra_span.ops import share_of_mean
from electra_span.published.save_load import load_pretrained, save_pretrained
from electra_span.training.checkpoints import Checkpoints
from pretrain.model import build_model
from tests.tiny_models import TINY, TINY_GENERATOR, randomize, tiny_batch


def _build(**options):
    return build_model(TINY, TINY_GENERATOR, **{"corrupt": corrupt_batch, **options})


def _losses(model, batch, *, gen_weight=1.0, disc_weight=50.0):
    """The scalars of a batch: total, and the means of both losses."""
    losses = joint_losses(model(batch), batch, batch, weights=LossWeights(gen=gen_weight, disc=disc_weight))
    mlm = share_of_mean(losses.mlm, batch.masked_lm_weights, batch.masked_lm_weights)
    return {"total": losses.total, "mlm": mlm, "disc": share_of_mean(losses.disc, batch.input_mask, batch.input_mask)}


def _paths(variables):
    return {variable.path for variable in variables}


def test_embeddings_are_the_same_variables_in_both_models():
    model = _build()
    ours, theirs = model.generator.encoder.embeddings, model.discriminator.encoder.embeddings
    assert ours is theirs
    shared = _paths(model.generator.variables) & _paths(model.discriminator.variables)
    assert shared == {
        f"electra/embeddings/{name}"
        for name in ("word_embeddings", "position_embeddings", "segment_embeddings", "norm/gamma", "norm/beta")
    }
    assert len(model.variables) == len(model.generator.variables) + len(model.discriminator.variables) - len(shared)
    assert len(_paths(model.variables)) == len(model.variables)
    assert "generator/embeddings_project/kernel" in _paths(model.generator.variables)


def test_untied_embeddings_are_not_shared():
    model = _build(embedding_sharing="generator_untied")
    assert not _paths(model.generator.variables) & _paths(model.discriminator.variables)


def test_a_tied_generator_is_the_discriminators_encoder():
    model = _build(embedding_sharing="encoder")
    assert model.generator.encoder is model.discriminator.encoder
    heads = {path.split("/")[0] for path in _paths(model.variables) - _paths(model.generator.encoder.variables)}
    assert heads == {"discriminator_predictions", "generator_predictions"}


def test_without_a_discriminator_there_is_one_masked_language_model():
    model = _build(has_discriminator=False)
    assert model.discriminator is None
    assert model.generator.config == TINY_GENERATOR
    assert model(tiny_batch()).detection is None


def test_a_uniform_generator_has_no_variables_and_draws_all_words():
    model = _build(has_generator=False)
    assert model.generator is None
    assert _paths(model.variables) == _paths(model.discriminator.variables)
    predictions = model(tiny_batch())
    np.testing.assert_array_equal(predictions.mlm_logits, np.zeros([3, 3, TINY.vocab_size]))


def test_shared_embeddings_survive_a_checkpoint(tmp_path):
    model, restored = _build(), _build()
    randomize(model)
    Checkpoints(tmp_path, model.variables, state=tf.train.Checkpoint()).save(3)
    Checkpoints(tmp_path, restored.variables, state=tf.train.Checkpoint()).restore_latest()
    for before, after in zip(model.variables, restored.variables, strict=True):
        np.testing.assert_array_equal(before.numpy(), after.numpy(), err_msg=before.path)
    assert restored.generator.encoder.embeddings is restored.discriminator.encoder.embeddings
    table = restored.discriminator.encoder.embeddings.tables["word_embeddings"].variable
    table.assign(table + 1.0)
    np.testing.assert_array_equal(restored.generator.variables[0].numpy(), table.numpy())


def test_shared_embeddings_are_published_with_both_models(tmp_path):
    model, batch = _build(), tiny_batch()
    randomize(model)
    for name in ("generator", "discriminator"):
        save_pretrained(getattr(model, name), None, tmp_path / name)
    generator, discriminator = (load_pretrained(tmp_path / name) for name in ("generator", "discriminator"))
    for name in ("word_embeddings", "position_embeddings", "segment_embeddings"):
        tables = [loaded.encoder.embeddings.tables[name].whole() for loaded in (generator, discriminator)]
        np.testing.assert_array_equal(*tables)
    inputs = {"input_ids": batch.input_ids, "input_mask": batch.input_mask, "segment_ids": batch.segment_ids}
    np.testing.assert_array_equal(generator(**inputs), model.generator(**inputs))
    np.testing.assert_array_equal(discriminator(**inputs), model.discriminator(**inputs))


def _gradients(model, batch, loss_name, **weights):
    with tf.GradientTape() as tape:
        loss = _losses(model, batch, **weights)[loss_name]
    variables = model.trainable_variables
    gradients = tape.gradient(loss, [variable.value for variable in variables])
    return {
        variable.path: None if gradient is None else tf.convert_to_tensor(gradient).numpy()
        for variable, gradient in zip(variables, gradients, strict=True)
    }


def test_no_gradient_of_the_discriminators_loss_reaches_the_generators_own_weights():
    model = _build()
    randomize(model)
    of_disc = _gradients(model, tiny_batch(), "disc")
    of_mlm = _gradients(model, tiny_batch(), "mlm")
    shared = _paths(model.discriminator.encoder.embeddings.variables)
    own = _paths(model.generator.variables) - shared
    assert all(of_disc[path] is None for path in own)
    assert all(np.any(of_disc[path] != 0) for path in shared)
    assert all(of_mlm[path] is not None for path in own | shared)
    assert all(of_mlm[path] is None for path in _paths(model.discriminator.variables) - shared)


def test_a_tied_generator_learns_from_both_losses():
    model = _build(embedding_sharing="encoder")
    randomize(model)
    kernel = "electra/layer_0/query/kernel"
    for loss in ("mlm", "disc"):
        assert np.any(_gradients(model, tiny_batch(), loss)[kernel] != 0)


def test_gradients_scale_with_the_weights_of_their_losses():
    model, batch = _build(), tiny_batch()
    randomize(model)
    of_disc, of_mlm = _gradients(model, batch, "disc"), _gradients(model, batch, "mlm")
    of_total = _gradients(model, batch, "total", gen_weight=2.0, disc_weight=30.0)
    for path, total in of_total.items():
        parts = [weight * of[path] for weight, of in ((2.0, of_mlm), (30.0, of_disc)) if of[path] is not None]
        scale = max(1.0, np.abs(total).max())
        np.testing.assert_allclose(total, sum(parts), rtol=0, atol=2e-6 * scale, err_msg=path)


def test_dropout_of_the_two_models_is_drawn_apart_and_from_the_seed():
    config = EncoderConfig(**{**vars(TINY), "hidden_dropout_prob": 0.3})
    model = build_model(config, config, corrupt=corrupt_batch, embedding_sharing="encoder")
    randomize(model)
    batch = tiny_batch()
    first, again, other = (model(batch, dropout_seed=tf.constant(seed)) for seed in ([1, 2], [1, 2], [3, 2]))
    np.testing.assert_array_equal(first.mlm_logits, again.mlm_logits)
    np.testing.assert_array_equal(first.detection.logits, again.detection.logits)
    assert np.any(first.mlm_logits != other.mlm_logits)
    assert np.any(first.mlm_logits != model(batch).mlm_logits)


def test_training_starts_at_the_losses_of_knowing_nothing():
    config = PretrainingConfig.from_hparams(
        model_name="m",
        data_dir="d",
        hparams={"model_hparam_overrides": {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}},
    )
    assert config.vocab_size == 30522
    model = build_model(config.discriminator_encoder(), config.generator_encoder(), corrupt=corrupt_batch)
    batch = tiny_batch((11, 11, 9, 8), vocab_size=config.vocab_size)
    losses = _losses(model, batch, gen_weight=config.gen_weight, disc_weight=config.disc_weight)
    assert abs(losses["mlm"] - math.log(30522)) < 0.3
    assert abs(losses["disc"] - math.log(2)) < 0.1
    assert 40 < losses["total"] < 50
    np.testing.assert_allclose(losses["total"], losses["mlm"] + 50 * losses["disc"], rtol=1e-6)


@pytest.mark.parametrize(
    ("model_size", "fraction", "expected"),
    [("small", 0.25, (64, 1, 256)), ("base", 1 / 3, (256, 4, 1024)), ("large", 0.25, (256, 4, 1024))],
)
def test_the_generators_size_follows_its_fraction(model_size, fraction, expected):
    config = PretrainingConfig.from_hparams(
        model_name="m", data_dir="d", hparams={"model_size": model_size, "generator_hidden_size": fraction}
    )
    generator = config.generator_encoder()
    assert (generator.hidden_size, generator.num_attention_heads, generator.intermediate_size) == expected
    assert generator.embedding_size == config.discriminator_encoder().embedding_size


@pytest.mark.parametrize("options", [{}, {"compile_kernels": True, "skips_padding": True}])
def test_compiled_parts_and_skipped_padding_change_no_loss(options):
    batch = tiny_batch()
    losses = []
    for chosen in ({}, options):
        model = _build(**chosen, corrupt=functools.partial(corrupt_batch, disallow_correct=True))
        randomize(model)
        losses.append(_losses(model, batch))
    for name, loss in losses[0].items():
        np.testing.assert_allclose(losses[1][name], loss, rtol=1e-6, err_msg=name)
