"""The devices of a run, and the settings that follow from them."""

import contextlib
import itertools
import math
import os
import platform
from collections.abc import Sequence
from typing import NamedTuple

import keras
import tensorflow as tf

_FIRST_BFLOAT16_GPU = (8, 0)  # compute capability of Ampere


class Execution(NamedTuple):
    """Dtype and compilation of a model.

    Attributes:
        dtype: Keras dtype policy.
        compile_step: XLA compiles the forward and the backward pass as a whole.
        compile_kernels: XLA compiles each elementwise kernel into one loop.
        skips_padding: padding is removed between attentions; XLA, which needs static shapes, cannot compile that.
    """

    dtype: str
    compile_step: bool
    compile_kernels: bool
    skips_padding: bool

    @property
    def compile_updates_from(self) -> float:
        """Number of elements from which on XLA compiles a variable's update."""
        # On a CPU, launching a compiled loop takes longer than TensorFlow's update of a small variable.
        return 0 if self.compile_step else 2**15 if self.compile_kernels else math.inf


def make_strategy(devices: Sequence[str] | None = None) -> tf.distribute.Strategy:
    """Returns the strategy for the local devices, or for several hosts if TF_CONFIG is set in the environment.

    Call it before TensorFlow runs its first operation.

    Args:
        devices: for example ["CPU:0", "CPU:1"]; by default all GPUs, or else all logical CPU devices.
    """
    if "TF_CONFIG" in os.environ:
        return tf.distribute.MultiWorkerMirroredStrategy()
    # Without it, TensorFlow takes all memory of a GPU, and a second process, such as an evaluation, has none.
    for gpu in tf.config.list_physical_devices("GPU"):
        tf.config.experimental.set_memory_growth(gpu, True)
    _run_operations_in_turn()
    kind = "GPU" if has_gpu() else "CPU"
    names = devices or [f"{kind}:{index}" for index, _ in enumerate(tf.config.list_logical_devices(kind))]
    return tf.distribute.MirroredStrategy(names) if len(names) > 1 else tf.distribute.OneDeviceStrategy(names[0])


def has_gpu() -> bool:
    """Returns whether models are computed on GPUs."""
    return bool(tf.config.list_physical_devices("GPU"))


def _run_operations_in_turn() -> None:
    """On a CPU, makes TensorFlow run one operation at a time, each on all cores."""
    # Two matrix products at once, each on all cores, took a sixth longer than one after the other. Several logical
    # devices wait for each other inside operations, and need a thread each.
    cpus = tf.config.list_physical_devices("CPU")
    is_alone = not has_gpu() and len(cpus) == 1
    if is_alone and len(tf.config.get_logical_device_configuration(cpus[0]) or [cpus[0]]) == 1:
        # Only possible before TensorFlow's first operation: else it stays as it is.
        with contextlib.suppress(RuntimeError):
            tf.config.threading.set_inter_op_parallelism_threads(1)


def is_chief(strategy: tf.distribute.Strategy) -> bool:
    """Returns whether this process, of the processes on several hosts, is the one that writes files."""
    resolver = strategy.cluster_resolver
    jobs = {} if resolver is None else resolver.cluster_spec().as_dict()
    return not jobs or (resolver.task_type, resolver.task_id) == ("chief" if "chief" in jobs else "worker", 0)


def resolve_execution(precision: str, xla: bool | str) -> Execution:
    """Returns dtype and compilation for the local devices.

    Args:
        precision: a Keras dtype policy, or "auto": mixed_bfloat16 on devices that multiply it faster, else float32.
        xla: True, False or "auto": the whole step on a GPU, elementwise kernels on a CPU.
    """
    # On a CPU, XLA's matrix products are slower than TensorFlow's: docs/benchmarks.md.
    on_gpu = has_gpu()
    compile_step = on_gpu if xla == "auto" else bool(xla)
    dtype = precision
    if precision == "auto":
        dtype = "mixed_bfloat16" if (_gpu_has_bfloat16() if on_gpu else _cpu_has_bfloat16()) else "float32"
    keras.dtype_policies.get(dtype)
    return Execution(dtype, compile_step, xla == "auto" and not on_gpu, not compile_step)


def describe_hardware(strategy: tf.distribute.Strategy) -> str:
    """Returns the hardware in words, as "2 x NVIDIA H200" or the name of the CPU with its number of logical cores.

    Args:
        strategy: the replicas; several hosts are assumed to be alike.
    """
    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        name = tf.config.experimental.get_device_details(gpus[0]).get("device_name", "GPU")
        return f"{strategy.num_replicas_in_sync} x {name}"
    return f"{_cpu_fields().get('model name', platform.machine())}, {os.cpu_count()} cores"


def _gpu_has_bfloat16() -> bool:
    details = [tf.config.experimental.get_device_details(gpu) for gpu in tf.config.list_physical_devices("GPU")]
    return all(detail.get("compute_capability", (0, 0)) >= _FIRST_BFLOAT16_GPU for detail in details)


def _cpu_has_bfloat16() -> bool:
    """Returns whether the processor multiplies bfloat16 matrices, as Linux reports it."""
    # Processors without these instructions emulate bfloat16, which is slower than float32.
    flags = _cpu_fields().get("flags", "").split()
    return "avx512_bf16" in flags or "amx_bf16" in flags


def _cpu_fields() -> dict[str, str]:
    """Returns the fields of the first processor in /proc/cpuinfo, by name; empty on other systems than Linux."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            lines = itertools.takewhile(str.strip, file)
            return {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    except OSError:
        return {}
