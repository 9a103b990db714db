"""Conversion of a caller's values as the peers do it: where every element is kept."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np

from loopjax.ir.types import TensorType


def fitting(value: Any, type: TensorType, allow_downcast: bool = False) -> Any:
    """Return a value in the dtype of a type where that keeps every element; else as it is, for the core to judge.

    Whole Python floats fit an integer, and integers of any dtype one that holds them. An array of floats fits no
    integer, as in Theano.
    """
    if value is None or isinstance(value, jax.Array) or type.dtype == "bfloat16":
        return value
    try:
        array = np.asarray(value)
    except ValueError:
        return value
    if array.dtype == type.dtype or array.dtype.kind not in "biuf" or np.dtype(type.dtype).kind not in "biufc":
        return value
    if allow_downcast:
        return array.astype(type.dtype)
    is_number = not isinstance(value, np.ndarray)
    if not (type.is_integer or type.dtype == "bool") and array.dtype.kind == "f":
        return value
    if array.dtype.kind == "f" and not is_number:
        return value
    with np.errstate(invalid="ignore"):
        converted = array.astype(type.dtype)
    return converted if bool(np.all(converted == array)) else value
