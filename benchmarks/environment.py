"""Environment of a measurement, without the name of the machine."""

from __future__ import annotations

import os
import platform
import re
from importlib.metadata import version

import jax
import numpy as np

import loopjax
from benchmarks.program import on_gpu


def environment() -> dict[str, str | int]:
    """Versions, kind of device and number of processors."""
    return {
        "backend": jax.default_backend(),
        "device": jax.devices()[0].device_kind,
        "processors": _processors(),
        "python": platform.python_version(),
        "jax": jax.__version__,
        "jaxlib": version("jaxlib"),
        "numpy": np.__version__,
        "loopjax": loopjax.__version__,
    }


def comparable() -> None:
    """Set full precision for float32 products, so that results can be compared: on a GPU, JAX rounds their factors to
    few digits by default."""
    if on_gpu():
        jax.config.update("jax_default_matmul_precision", "highest")


def label() -> str:
    """Label of files: kind of device and version of JAX, such as ``cpu-jax0.10.2``."""
    kind = re.sub(r"[^a-z0-9]+", "-", jax.devices()[0].device_kind.lower()).strip("-")
    return f"{kind}-jax{jax.__version__}"


def _processors() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
