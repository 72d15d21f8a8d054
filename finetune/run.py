"""One configured fine-tuning run: its devices, tokenizer, tasks and rows, and the initial models of its trials."""

import contextlib
import functools
import pathlib
from collections.abc import Iterable, Iterator, Sequence

import keras
from absl import logging

from electra_span.config import EncoderConfig, HparamError
from electra_span.convert.warm_start import take_over, targets_of
from electra_span.encoder import ElectraEncoder
from electra_span.files import shown
from electra_span.folders import lock_file
from electra_span.head_config import HeadConfig
from electra_span.model_cost import Network, check_memory, count_parameters
from electra_span.models import ElectraTaskModel
from electra_span.published.card_metadata import Origin
from electra_span.published.config import CONFIG_FILE, read_config
from electra_span.published.save_load import load_task_model
from electra_span.published.tensor_files import WEIGHT_SUFFIXES
from electra_span.tokenization import Tokenizer, VocabularyError, load_tokenizer
from electra_span.training.devices import Execution, has_gpu, is_chief, make_strategy, resolve_execution
from electra_span.training.session import check_batch_sizes
from finetune.batches import BatchMaker
from finetune.config import FinetuningConfig
from finetune.features import Rows, cached_rows, digest_of_files
from finetune.objective import WeightedTask
from finetune.readers.reading import DataError
from finetune.registry import make_tasks
from finetune.results import fingerprint_of
from finetune.task import Task
from finetune.task_names import MODELS_FOLDER, tasks_slug
from finetune.warm_start import DROPOUTS, EncoderStart, is_there, read_encoder_start

# Hparams that a trial does not depend on: finished trials still count when they change.
_NOT_OF_TRIALS = (
    "num_trials", "retry_failed_trials", "keep_all_models", "debug", "log_examples", "log_steps", "seed",
    "save_checkpoints_steps", "iterations_per_loop", "use_tfrecords_if_existing", "write_test_outputs", "n_writes_test",
    *Origin._fields,
)  # fmt: skip

# Compiling kernels for all shapes of a run takes 45 processor seconds and makes steps a sixth faster: it pays from 225
# seconds on, at the 1.1e11 operations a second of electra-small on one core.
_LEAST_COMPILED_FLOPS = 2.5e13


class Run:
    """One configured run: what all its trials share.

    Args:
        config: the effective configuration.

    Raises:
        UserError: model, files and configuration do not fit.
    """

    def __init__(self, config: FinetuningConfig) -> None:
        self.config = config
        self.model_dir = pathlib.Path(config.model_dir)
        self.strategy = make_strategy()  # first: several hosts can only be joined before TensorFlow runs an operation
        self.is_chief = is_chief(self.strategy)
        check_batch_sizes(
            {name: getattr(config, name) for name in ("train_batch_size", "eval_batch_size", "predict_batch_size")},
            num_replicas=self.strategy.num_replicas_in_sync,
            num_accumulation_steps=config.gradient_accumulation_steps,
        )
        self._start = self._read_start()
        self.tokenizer = _find_tokenizer(config) if self._start is None else self._start.tokenizer
        self.trained = None if config.do_train else self._build(None)
        known = None if self.trained is None else {head.task: head for head in self.trained.head_configs}
        self.tasks = make_tasks(config, self.tokenizer, known)
        self._rows: dict[tuple[str, str], Rows] = {}
        self.slug = tasks_slug(task.slug for task in self.tasks)

    @functools.cached_property
    def execution(self) -> Execution:
        """Dtype and compilation; kernels are compiled only if training is long enough for that to pay."""
        execution = resolve_execution(self.config.precision, self.config.xla)
        if execution.compile_kernels and self.config.do_train and self._training_flops() < _LEAST_COMPILED_FLOPS:
            execution = execution._replace(compile_kernels=False)
        logging.info("%d device(s), %s", self.strategy.num_replicas_in_sync, execution)
        return execution

    def _training_flops(self) -> float:
        """Returns about how many operations all trials take: those of the products with the layers' weights."""
        num_tokens = sum(len(rows.text.input_ids) for rows in self.training_rows.values())
        num_weights = count_parameters(self._sizes())["encoder_layers"]
        return 6.0 * num_weights * num_tokens * self.config.num_train_epochs * self.config.num_trials

    def _sizes(self) -> EncoderConfig:
        """Returns the sizes of the encoder that trials start from, without reading its weights."""
        if self._start is not None:
            return self._start.config
        if _holds_model(self.config):
            return read_config(pathlib.Path(self.config.init_checkpoint, CONFIG_FILE)).config
        return self._encoder_config()

    @property
    def weighted_tasks(self) -> list[WeightedTask]:
        """Tasks with the weights of their losses, in the order of task_ids."""
        weights = self.config.task_weights
        return [WeightedTask(task.slug, task.head, float(weights.get(task.name.name, 1.0))) for task in self.tasks]

    @functools.cached_property
    def training_rows(self) -> dict[str, Rows]:
        """Training rows by task."""
        return {task.slug: self.rows(task, "train") for task in self.tasks}

    def check_rows(self) -> None:
        """Raises DataError for a task without examples to train on or to evaluate on, before a trial starts."""
        for task in self.tasks:
            splits = ["train"] * self.config.do_train + list(task.evaluation_splits[:1]) * self.config.do_eval
            for split in splits:
                if not len(self.rows(task, split)):
                    raise DataError(f"{task.name.name}: there are no {split} examples; add rows, or a {split} file")

    def trial_dir(self, number: int) -> pathlib.Path:
        """Returns the folder of a trial, which gets its published model."""
        return self.model_dir / MODELS_FOLDER / f"{self.slug}_model_{number}"

    def rows(self, task: Task, split: str) -> Rows:
        """Returns the rows of a split of a task; cached on disk, under a hash of everything they depend on."""
        if (task.slug, split) not in self._rows:
            self._rows[task.slug, split] = self._read_rows(task, split)
        return self._rows[task.slug, split]

    def _read_rows(self, task: Task, split: str) -> Rows:
        try:
            sources = digest_of_files(task.files(split))
        except OSError:
            return task.make_rows(split, self.tokenizer)  # names the file that cannot be read
        key = {
            "task": task.slug,
            "split": split,
            "sources": sources,
            "tokenizer": self.tokenizer.fingerprint,
            "settings": task.settings,
        }
        rows = cached_rows(
            self.model_dir / "finetuning_features",
            f"{task.slug}_{split}",
            key,
            lambda: task.make_rows(split, self.tokenizer),
            may_read=self.config.use_tfrecords_if_existing,
        )
        logging.info("%s, %s: %d rows, %d tokens", task.slug, split, len(rows), len(rows.text.input_ids))
        return rows

    def digest_of_sources(self) -> str:
        """Returns a hash of the initial model, the tokenizer and the files of all tasks."""
        folder = pathlib.Path(self.config.init_checkpoint)
        model = [folder / CONFIG_FILE, *sorted(file for file in folder.glob("*") if file.suffix in WEIGHT_SUFFIXES)]
        if self._start is not None:
            model = self._start.files
        of_tasks = [
            pathlib.Path(file)
            for task in self.tasks
            for split in ("train", *task.evaluation_splits)
            for file in task.files(split)
        ]
        digest = digest_of_files(file for file in [*model, *of_tasks] if file.is_file())
        return f"{digest}-{self.tokenizer.fingerprint}"

    def fingerprint(self) -> str:
        """Returns a hash of everything that a trial depends on but its seed."""
        settings = {name: value for name, value in self.config.to_dict().items() if name not in _NOT_OF_TRIALS}
        if settings["tag_scheme"] == "bioes":  # results of versions without this hparam still count
            del settings["tag_scheme"]
        return fingerprint_of({"hparams": settings, "seed": self.config.seed, "sources": self.digest_of_sources()})

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keeps other runs of the same tasks out of the model folder; runs of other tasks may share it.

        Raises:
            FileError: another run uses it.
        """
        busy = f"another fine-tuning of {self.slug} is at work in {shown(str(self.model_dir))}; wait until it has ended"
        lock = lock_file(self.model_dir / "results" / f".{self.slug}.lock", busy)
        with lock if self.is_chief else contextlib.nullcontext():
            yield

    def check_target(self, numbers: Iterable[int]) -> None:
        """Raises HparamError if one of the trials would overwrite the model that it starts from."""
        source = pathlib.Path(self.config.init_checkpoint).resolve()
        for number in numbers:
            if self.trial_dir(number).resolve() in (source, *source.parents):
                raise HparamError(
                    f"init_checkpoint is where trial {number} is written: move it, or take another --model-name. "
                    f"Received: {self.config.init_checkpoint}"
                )

    def log_examples(self, num_logged: int = 3) -> None:
        """Logs the tokens of the first training examples of each task."""
        for slug, rows in self.training_rows.items():
            for index in range(min(num_logged, len(rows))):
                ids = rows.text.input_ids[slice(*rows.text.row_splits[index : index + 2])]
                logging.info("%s, row %d: %s", slug, index, " ".join(self.tokenizer.tokens(ids.tolist())))

    def batches(self, rows: dict[str, Rows], batch_size: int) -> BatchMaker:
        """Returns the maker of batches of rows."""
        return BatchMaker(rows, batch_size=batch_size, longest=self.config.max_seq_length, pad_id=self.tokenizer.pad_id)

    def build_model(self, seed: int) -> ElectraTaskModel:
        """Returns the initial model of a trial, with new heads for all tasks, drawn from its seed."""
        keras.utils.set_random_seed(seed)
        return self._build([task.head for task in self.tasks])

    def _read_start(self) -> EncoderStart | None:
        """Returns the initial encoder of trials; None if a model is evaluated alone, or only its sizes are used."""
        config = self.config
        if not (config.random_weights or is_there(pathlib.Path(config.init_checkpoint))):
            raise HparamError(
                "init_checkpoint must be the folder of a published model, as run_pretraining.py leaves it, or one of "
                "the other forms in docs/hparams.md; pretrain first, or name another one. Received: "
                f"{config.init_checkpoint}, which is not there"
            )
        if config.random_weights or not config.do_train:
            return None
        return read_encoder_start(config, _tokenizer_beside(config))

    def _build(self, heads: Sequence[HeadConfig] | None) -> ElectraTaskModel:
        """Returns the model of init_checkpoint with new heads; heads None: with its own trained heads."""
        config, execution = self.config, self.execution
        build_encoder = functools.partial(
            ElectraEncoder,
            dtype=execution.dtype,
            compile_kernels=execution.compile_kernels,
            skips_padding=execution.skips_padding,
        )
        directory = pathlib.Path(config.init_checkpoint)
        if heads is not None:
            least_tokens = 0 if has_gpu() else config.train_batch_size // config.gradient_accumulation_steps
            check_memory([Network(self._sizes(), head="discriminator")], num_tokens=least_tokens)
        dropouts = {name: rate for name, rate in config.model_hparam_overrides.items() if name in DROPOUTS}
        with self.strategy.scope():
            if heads is not None and self._start is not None:
                self._check_sizes(self._start.config)
                model = ElectraTaskModel(build_encoder(self._start.config, name="electra"), heads)
                take_over(targets_of(model), self._start.start)
                return model
            if heads is not None and not _holds_model(config):
                return ElectraTaskModel(build_encoder(self._encoder_config(), name="electra"), heads)
            model = load_task_model(
                directory,
                heads,
                build_encoder=build_encoder,
                dropouts=dropouts,
                random_weights=config.random_weights,
            )
        self._check_sizes(model.config)
        return model

    def _encoder_config(self) -> EncoderConfig:
        """Returns the sizes of an encoder that starts from random weights, without a published model."""
        config = self.config
        size = {} if config.embedding_size is None else {"embedding_size": config.embedding_size}
        return EncoderConfig.of_size(
            config.model_size, **{"vocab_size": self.tokenizer.vocab_size, **size, **config.model_hparam_overrides}
        )

    def _check_sizes(self, found: EncoderConfig) -> None:
        """Raises HparamError if the configuration names other sizes than those of the model."""
        if self.config.max_seq_length > found.max_position_embeddings:
            raise HparamError(
                f"max_seq_length must be at most {found.max_position_embeddings}, the positions of "
                f"{self.config.init_checkpoint}. Received: {self.config.max_seq_length}"
            )
        if self.tokenizer.vocab_size > found.vocab_size:
            raise HparamError(
                f"vocab_file must have at most {found.vocab_size} tokens, the words of {self.config.init_checkpoint}. "
                f"Received: {self.tokenizer.vocab_size}"
            )
        named = {key: value for key, value in self.config.model_hparam_overrides.items() if key not in DROPOUTS}
        if self.config.model_size != "small":
            of_size = EncoderConfig.of_size(self.config.model_size, **named)
            named |= {key: getattr(of_size, key) for key in ("hidden_size", "num_hidden_layers")}
        for key, value in named.items():
            if getattr(found, key) != value:
                raise HparamError(
                    f"model_size, model_hparam_overrides: {key} of {self.config.init_checkpoint} is "
                    f"{getattr(found, key)}. Received: {value}"
                )


def _holds_model(config: FinetuningConfig) -> bool:
    return pathlib.Path(config.init_checkpoint, CONFIG_FILE).exists()


def _find_tokenizer(config: FinetuningConfig) -> Tokenizer:
    """Returns the tokenizer of vocab_file, of init_checkpoint, or of a vocab.txt in the model or data folder."""
    folder = pathlib.Path(config.init_checkpoint)
    if config.vocab_file is not None:
        return load_tokenizer(config.vocab_file, config.do_lower_case)
    if any((folder / name).exists() for name in ("vocab.txt", "tokenizer.json", "vocab.json", "spiece.model")):
        return load_tokenizer(folder, config.do_lower_case)
    tokenizer = _tokenizer_beside(config)
    if tokenizer is None:
        raise VocabularyError(
            f"no vocabulary in {folder}, nor {config.model_dir} nor {config.data_dir}; name one by vocab_file"
        )
    return tokenizer


def _tokenizer_beside(config: FinetuningConfig) -> Tokenizer | None:
    """Returns the tokenizer of the vocab.txt in the model or data folder; None if neither has one."""
    files = (pathlib.Path(parent, "vocab.txt") for parent in (config.model_dir, config.data_dir))
    file = next((file for file in files if file.exists()), None)
    return None if file is None else load_tokenizer(file, config.do_lower_case)
