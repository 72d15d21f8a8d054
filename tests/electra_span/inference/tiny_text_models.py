"""Models with tokenizers so small that they cost nothing, and texts for them."""

import dataclasses
import functools
import io

import sentencepiece

from electra_span.config import EncoderConfig
from electra_span.encoder import ElectraEncoder
from electra_span.head_config import HeadConfig
from electra_span.models import ElectraDiscriminator, ElectraGenerator, ElectraTaskModel, make_two_towers
from electra_span.tokenization import SentencePieceTokenizer, WordPieceTokenizer
from tests.tiny_models import randomize

VOCABULARY = (
    *("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"),
    *("the", "cat", "sat", "on", "mat", ".", "a", "in", "##s", "##ting", "cafe", "日"),
)
CONFIG = EncoderConfig(
    embedding_size=8,
    hidden_size=12,
    num_hidden_layers=2,
    num_attention_heads=3,
    intermediate_size=20,
    max_position_embeddings=16,
)
MOOD = HeadConfig(task="mood", kind="classification", labels=("bad", "so so", "good"))
LENGTH = HeadConfig(task="length", kind="regression", score_range=(1.0, 5.0))
FACTS = HeadConfig(task="facts", kind="questions")
PLAIN = HeadConfig(task="plain", kind="questions", joint_prediction=False, answerable_classifier=False)
TAGS = HeadConfig(task="tags", kind="tagging", labels=("O", "B-X", "I-X", "S-Y"))
TEXTS = ["The cat sat on the mat.", "", "cats", "A Café: 日日!", "sitting in the mat", "the cat " * 30]


def wordpiece():
    """Returns a tokenizer of VOCABULARY."""
    return WordPieceTokenizer(VOCABULARY)


def sentence_piece():
    """Returns a SentencePiece tokenizer of as many tokens."""
    writer = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(["the cat sat on the mat in a cafe", "cats sitting"] * 9),
        model_writer=writer,
        vocab_size=29,
        pad_id=3,
        control_symbols=["<mask>"],
        hard_vocab_limit=False,
        minloglevel=2,
    )
    return SentencePieceTokenizer(writer.getvalue())


def make_text_model(kind, tokenizer=None, *, heads=(MOOD,), dtype="float32"):
    """Returns a model of random weights: "discriminator", "generator", "two_towers" or "tasks"."""
    tokenizer = tokenizer or wordpiece()
    # With more ids than there are tokens, as in many published models.
    config = dataclasses.replace(CONFIG, vocab_size=tokenizer.vocab_size + 3)
    build_encoder = functools.partial(ElectraEncoder, dtype=dtype)
    model = {
        "discriminator": lambda: ElectraDiscriminator(build_encoder(config, name="electra"), dtype=dtype),
        "generator": lambda: ElectraGenerator(build_encoder(config, name="electra"), dtype=dtype),
        "two_towers": lambda: make_two_towers(build_encoder, config),
        "tasks": lambda: ElectraTaskModel(build_encoder(config, name="electra"), heads, dtype=dtype),
    }[kind]()
    randomize(model)
    model.tokenizer = tokenizer
    return model
