"""Which devices a run uses, and the settings that follow from them."""

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
    """How a model is computed.

    Attributes:
        dtype: Keras dtype policy.
        compile_step: XLA compiles forward and backward pass as a whole.
        compile_kernels: XLA compiles elementwise parts, one loop each.
        skips_padding: only real tokens are computed on, in shapes that are not static.
    """

    dtype: str
    compile_step: bool
    compile_kernels: bool
    skips_padding: bool

    @property
    def compile_updates_from(self) -> float:
        """Elements from which on a variable's update is compiled: a loop for a few is not worth its launch on a CPU."""
        return 0 if self.compile_step else 2**15 if self.compile_kernels else math.inf


def make_strategy(devices: Sequence[str] | None = None) -> tf.distribute.Strategy:
    """Returns the strategy for the devices at hand; several hosts where the environment's TF_CONFIG names them.

    Args:
        devices: for example ["CPU:0", "CPU:1"]; by default all GPUs, or else all logical CPU devices.
    """
    if "TF_CONFIG" in os.environ:
        return tf.distribute.MultiWorkerMirroredStrategy()
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
    """On a CPU alone, has TensorFlow run one operation at a time, each on all cores.

    Two matrix products at once, each on all cores, took a sixth longer than one after the other. Several logical
    devices wait for each other inside operations and need a thread each.
    """
    cpus = tf.config.list_physical_devices("CPU")
    is_alone = not has_gpu() and len(cpus) == 1
    if is_alone and len(tf.config.get_logical_device_configuration(cpus[0]) or [cpus[0]]) == 1:
        # Only possible before TensorFlow's first operation: else it stays as it is.
        with contextlib.suppress(RuntimeError):
            tf.config.threading.set_inter_op_parallelism_threads(1)


def is_chief(strategy: tf.distribute.Strategy) -> bool:
    """Returns whether this process is the one that writes files, of the processes on several hosts."""
    resolver = strategy.cluster_resolver
    jobs = {} if resolver is None else resolver.cluster_spec().as_dict()
    return not jobs or (resolver.task_type, resolver.task_id) == ("chief" if "chief" in jobs else "worker", 0)


def resolve_execution(precision: str, xla: bool | str) -> Execution:
    """Returns how to compute on the devices at hand.

    By itself, a step is compiled as a whole on a GPU, and in its elementwise parts on a CPU, where XLA's matrix
    products are slower than TensorFlow's.

    Args:
        precision: a dtype policy, or "auto": bfloat16 where the device multiplies it faster than float32.
        xla: True, False or "auto".
    """
    on_gpu = has_gpu()
    compile_step = on_gpu if xla == "auto" else bool(xla)
    dtype = precision
    if precision == "auto":
        dtype = "mixed_bfloat16" if (_gpu_has_bfloat16() if on_gpu else _cpu_has_bfloat16()) else "float32"
    keras.dtype_policies.get(dtype)
    return Execution(dtype, compile_step, xla == "auto" and not on_gpu, not compile_step)


def describe_hardware(strategy: tf.distribute.Strategy) -> str:
    """Returns what a run computes on, as "2 x NVIDIA H200" or a CPU's name with its number of logical cores.

    Args:
        strategy: the run's; of several hosts, all are taken to be alike.
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
    """Returns whether the processor multiplies bfloat16 matrices, as far as Linux says."""
    flags = _cpu_fields().get("flags", "").split()
    return "avx512_bf16" in flags or "amx_bf16" in flags


def _cpu_fields() -> dict[str, str]:
    """Returns what Linux says of the first processor, by name; nothing elsewhere."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            lines = itertools.takewhile(str.strip, file)
            return {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    except OSError:
        return {}
