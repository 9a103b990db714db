"""Results of a call as arrays that the caller's next operation can take: ``config.results``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np

from loopjax.ir.graph import Variable
from loopjax.runtime.x64 import NARROW, is_key

Convert = Callable[[Any], Any]
"""From results in the structure of a function's outputs to results in the same structure."""


def converter(policy: str, outputs: Sequence[Variable]) -> Convert | None:
    """A function that turns results into NumPy arrays where ``policy`` asks for it; ``None`` where it never does.

    With ``"auto"`` these are 64-bit results while JAX's x64 flag is off: JAX would cut a ``jax.Array`` of such a dtype
    to 32 bits in the next operation.
    """
    every = policy == "numpy"
    if policy == "jax" or not (every or any(output.dtype in NARROW for output in outputs)):
        return None
    flag = jax.enable_x64

    def of_array(array: Any) -> Any:
        if isinstance(array, jax.core.Tracer) or is_key(array) or not (every or str(array.dtype) in NARROW):
            return array
        return np.array(array)  # a copy, which the caller may write to

    def convert(results: Any) -> Any:
        if flag.value and not every:
            return results
        if isinstance(results, list):
            return [of_array(array) for array in results]
        if isinstance(results, dict):
            return {key: of_array(array) for key, array in results.items()}
        return results if results is None else of_array(results)

    return convert
