"""What a run's networks start from, where it goes on from models that were trained before."""

import dataclasses
import re

import numpy as np

from electra_span.encoder import ElectraEncoder
from electra_span.head_config import HeadConfig
from electra_span.models import ElectraTaskModel
from electra_span.tokenization import WordPieceTokenizer
from tests.pretrain.tiny_starts import (
    GENERATOR,
    POSITIONS,
    SIZES,
    WORDS,
    assert_taken,
    discriminator,
    generator,
    publish,
    started,
    values,
)
from tests.tiny_models import TINY, VOCABULARY


def test_both_networks_take_their_halves_and_share_the_discriminators_embeddings(tmp_path, caplog):
    caplog.set_level("INFO", logger="absl")
    theirs = publish(tmp_path, discriminator(), generator())
    model = started(tmp_path)
    assert_taken(model.discriminator, theirs[0])
    assert_taken(model.generator, theirs[1], but=["embeddings/"])
    assert "the discriminator: 43 of its 43 variables from the source's discriminator" in caplog.text
    assert "the generator: 39 of its 44 variables from the source's generator, 5 shared" in caplog.text
    assert "5 variables that the source's generator has of its own are left out" in caplog.text
    assert "drawn anew: 0 of" in caplog.text
    assert "37 of 37 words as in the source, 0 drawn anew; 16 positions" in caplog.text


def test_untied_networks_take_all_of_their_halves(tmp_path):
    own = dataclasses.replace(GENERATOR, embedding_size=6)
    theirs = publish(tmp_path, discriminator(), generator(own))
    model = started(tmp_path, embedding_sharing="generator_untied")
    assert_taken(model.discriminator, theirs[0])
    assert_taken(model.generator, theirs[1])


def test_one_half_leaves_the_other_network_fresh_but_for_shared_embeddings(tmp_path, caplog):
    caplog.set_level("INFO", logger="absl")
    alone = publish(tmp_path / "d", discriminator())
    model = started(tmp_path / "d")
    assert_taken(model.discriminator, alone)
    assert np.array_equal(values(model.generator)[WORDS], values(alone)[WORDS])
    assert np.ptp(values(model.generator)["generator_predictions/output_bias"]) == 0
    assert "drawn anew: 39 of 82 variables: generator (34), generator_predictions (5)" in caplog.text
    other = publish(tmp_path / "g", generator())
    model = started(tmp_path / "g")
    assert_taken(model.generator, other)
    assert np.array_equal(values(model.discriminator)[WORDS], values(other)[WORDS])
    assert np.ptp(values(model.discriminator)["layer_0/query/bias"]) == 0


def test_differences_from_the_generators_tables_make_the_discriminators_whole(tmp_path):
    theirs = publish(tmp_path, discriminator(), generator())
    model = started(tmp_path, embedding_sharing="gdes")
    assert_taken(model.generator, theirs[1])
    for name, table in model.discriminator.encoder.embeddings.tables.items():
        np.testing.assert_allclose(table.whole(), values(theirs[0])[f"embeddings/{name}"], atol=1e-6)
    alone = started(tmp_path / "discriminator", embedding_sharing="gdes")
    assert np.array_equal(values(alone.generator)[WORDS], values(theirs[0])[WORDS])
    assert np.ptp(values(alone.discriminator)[f"{WORDS}_delta"]) == 0


def test_one_encoder_for_both_is_the_discriminators(tmp_path):
    theirs = publish(tmp_path, discriminator(), generator(TINY))
    model = started(tmp_path, embedding_sharing="encoder")
    assert_taken(model.discriminator, theirs[0])
    heads = {path for path in values(model.generator) if path.startswith("generator_predictions/")}
    assert all(np.array_equal(values(model.generator)[path], values(theirs[1])[path]) for path in heads)


def test_a_network_that_is_alone_takes_the_encoder_of_any_half(tmp_path):
    theirs = publish(tmp_path / "g", generator(TINY))
    model = started(tmp_path / "g", training_mode="discriminator")
    ours = values(model.discriminator)
    assert all(np.array_equal(ours[path], value) for path, value in values(theirs.encoder).items())
    assert "discriminator_predictions/dense/kernel" in ours
    tagger = ElectraTaskModel(
        ElectraEncoder(TINY, name="electra"), [HeadConfig(task="t", kind="tagging", labels=("O", "B"))]
    )
    publish(tmp_path / "t", tagger)
    model = started(tmp_path / "t", electra_objective=False)
    assert all(np.array_equal(values(model.generator)[path], value) for path, value in values(tagger.encoder).items())


def test_words_of_another_vocabulary_are_found_by_their_tokens(tmp_path, caplog):
    caplog.set_level("INFO", logger="absl")
    theirs = publish(tmp_path, discriminator(), generator())
    vocabulary = ("new0", *reversed(VOCABULARY[2:]), *VOCABULARY[:2], "new1")
    model = started(tmp_path, WordPieceTokenizer(vocabulary), vocab_size=41)
    rows = [VOCABULARY.index(token) for token in vocabulary[1:-1]]
    ours = values(model.generator)
    np.testing.assert_array_equal(ours[WORDS][1:38], values(theirs[0])[WORDS][rows])
    fresh = np.concatenate([ours[WORDS][:1], ours[WORDS][38:]])
    assert 0 < np.abs(fresh).max() <= 0.04
    bias = "generator_predictions/output_bias"
    np.testing.assert_array_equal(ours[bias][1:38], values(theirs[1])[bias][rows])
    np.testing.assert_array_equal(ours[bias][[0, 38, 39, 40]], 0)
    assert "37 of 41 words as in the source, 4 drawn anew" in caplog.text


def test_words_are_all_drawn_anew_where_that_is_asked_for(tmp_path):
    theirs = publish(tmp_path, discriminator(), generator())
    model = started(tmp_path, init_vocabulary="new")
    assert_taken(model.discriminator, theirs[0], but=[WORDS])
    assert np.abs(values(model.discriminator)[WORDS]).max() <= 0.04
    assert np.ptp(values(model.generator)["generator_predictions/output_bias"]) == 0


def test_longer_positions_repeat_the_sources_and_shorter_ones_are_its_first(tmp_path, caplog):
    caplog.set_level("INFO", logger="absl")
    theirs = values(publish(tmp_path, discriminator()))[POSITIONS]
    for length in (37, 13):
        model = started(tmp_path, model_hparam_overrides={**SIZES, "max_position_embeddings": length})
        ours = values(model.discriminator)[POSITIONS]
        np.testing.assert_array_equal(ours, np.concatenate([theirs] * 3)[:length])
    assert "37 positions, those from 16 on repeat the source's 16" in caplog.text
    assert "13 positions, the first of the source's 16" in caplog.text


def test_span_heads_are_taken_where_the_source_has_them(tmp_path, caplog):
    caplog.set_level("INFO", logger="absl")
    theirs = publish(tmp_path / "span", discriminator(max_span_length=4), generator(max_span_length=4))
    spans = {"masking": "span", "max_span_length": 6}
    model = started(tmp_path / "span", **spans)
    boundary = "discriminator_span_predictions/boundary"
    assert_taken(model.discriminator, theirs[0], but=[f"{boundary}/position_embeddings"])
    offsets, before = (values(each)[f"{boundary}/position_embeddings"] for each in (model.discriminator, theirs[0]))
    np.testing.assert_array_equal(offsets, before[[0, 1, 2, 3, 3, 3]])
    publish(tmp_path / "plain", discriminator(), generator())
    caplog.clear()
    started(tmp_path / "plain", **spans)
    assert re.search(r"drawn anew: .*generator_span_predictions \(\d+\), discriminator_span_predictions", caplog.text)
