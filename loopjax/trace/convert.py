"""From what users write (numbers, arrays, lists) to variables."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np

from loopjax.config import config
from loopjax.errors import here
from loopjax.ir.graph import Constant, Variable
from loopjax.ir.public_ops import ops
from loopjax.ir.types import dtype_name

Number = bool | int | float | complex


def as_variable(value: Any, name: str | None = None) -> Variable:
    """A variable for ``value``: itself, or a constant.

    A Python or NumPy scalar becomes a weak constant, which takes the dtype of what it meets. An array keeps
    its dtype. A list of Python numbers is an int64 or floatX array; one that holds variables is stacked.
    """
    if isinstance(value, Variable):
        return value
    if isinstance(value, jax.core.Tracer):
        raise TypeError(
            "a JAX tracer cannot be a constant of a symbolic graph; pass it as an argument of the compiled function"
        )
    if isinstance(value, (bool, np.bool_)):
        return Constant(np.asarray(bool(value)), name)
    if isinstance(value, (int, float, complex, np.generic)):
        return _number(value, name)
    if isinstance(value, (list, tuple)):
        if _holds_variables(value):
            stacked: Variable = ops["stack"](list(value))
            return stacked
        return Constant(_canonical(np.asarray(value)), name)
    if isinstance(value, (np.ndarray, jax.Array)):
        return Constant(_checked(np.asarray(value)), name)
    raise TypeError(f"expected a variable, a number or an array, got {type(value).__name__}: {value!r:.80}{here()}")


def constant(value: Any, name: str | None = None, dtype: Any = None) -> Constant:
    """A constant. Python numbers are strong here: int64, or floatX.

    ``value`` is a number, a list or an array; ``dtype`` casts it.
    """
    if isinstance(value, Constant):
        value = value.data
    if isinstance(value, Variable):
        raise TypeError(f"constant() takes a value, not the symbolic {value!r}")
    data = np.asarray(value)
    if dtype is not None:
        data = data.astype(dtype_name(dtype))
    elif not isinstance(value, (np.ndarray, np.generic, jax.Array)):
        data = _canonical(data)
    return Constant(_checked(data), name)


def _number(value: Any, name: str | None) -> Constant:
    data = np.asarray(value)
    kind = data.dtype.kind
    if kind in "iu":
        dtype = "int64"
    elif kind == "c":
        dtype = _complex_dtype()
    else:
        dtype = config.floatX
    made = Constant(data.astype(dtype_name(dtype)), name, weak=True)
    made.exact = value
    return made


def _complex_dtype() -> str:
    """The dtype of complex numbers whose parts are of dtype floatX."""
    return "complex128" if config.floatX == "float64" else "complex64"


def _canonical(data: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """An array made of Python numbers, in the dtype that LoopJAX gives them."""
    if data.dtype.kind == "f":
        return data.astype(dtype_name(config.floatX))
    if data.dtype.kind in "iu":
        return data.astype(np.int64)
    if data.dtype.kind == "c":
        return data.astype(_complex_dtype())
    return _checked(data)


def _checked(data: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    if data.dtype.kind in "OSUmM":
        raise TypeError(f"an array of dtype {data.dtype} is not numeric: {data!r:.80}")
    return data if data.dtype.isnative else data.astype(data.dtype.newbyteorder("="))


def _holds_variables(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return any(_holds_variables(item) for item in value)
    return isinstance(value, Variable)
