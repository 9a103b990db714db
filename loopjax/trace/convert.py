"""Conversion of numbers, arrays and lists to variables."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
from numpy.typing import DTypeLike

from loopjax.config import config
from loopjax.errors import ArgumentError, here
from loopjax.ir.graph import Constant, Variable, recorded
from loopjax.ir.public_ops import ops
from loopjax.ir.types import dtype_name

Number = bool | int | float | complex


def as_variable(value: Any, name: str | None = None) -> Variable:
    """Convert a value to a variable.

    A Python number becomes a weak constant, which takes the dtype of what it meets, as in JAX. An array or NumPy scalar
    keeps its dtype.

    Parameters
    ----------
    value : array_like
        Variable, number, array, or nested list. A list of Python numbers is an int64 or floatX array; a list that holds
        variables is stacked along a new first axis.
    name : str, optional
        Name of a new constant.

    Returns
    -------
    Variable
        ``value`` itself where it is a variable, else a constant or a stack.

    Raises
    ------
    TypeError
        Where ``value`` is not numeric, or is a JAX tracer: a tracer cannot be a constant of a symbolic graph.

    Examples
    --------
    >>> import loopjax.tensor as at
    >>> print(at.as_variable([1, 2]).type)
    int64(2,)
    >>> x = at.fvector("x")
    >>> print((x + at.as_variable(2)).dtype)  # the number is weak
    float32
    """
    if isinstance(value, Variable):
        return value
    if isinstance(value, jax.core.Tracer):
        raise TypeError(
            "a JAX tracer cannot be a constant of a symbolic graph; pass it as an argument of the compiled function"
        )
    if isinstance(value, (bool, np.bool_)):
        return recorded(Constant)(np.asarray(bool(value)), name)
    if isinstance(value, (int, float, complex, np.generic)):
        return _number(value, name)
    if isinstance(value, (list, tuple)):
        if _holds_variables(value):
            return ops["stack"](list(value))
        return recorded(Constant)(_canonical(np.asarray(value)), name)
    if isinstance(value, (np.ndarray, jax.Array)):
        return recorded(Constant)(_checked(np.asarray(value)), name)
    raise ArgumentError(
        f"expected a variable, a number or an array, got {type(value).__name__}: {value!r:.80}{here()}", value
    )


def constant(value: Any, name: str | None = None, dtype: DTypeLike | None = None) -> Constant:
    """Constant of a fixed dtype.

    Unlike in `as_variable`, a Python number does not adapt to what it meets: it is int64 or floatX.

    Parameters
    ----------
    value : array_like
        Number, array or nested list of numbers.
    name : str, optional
        Name in printed graphs.
    dtype : dtype_like, optional
        Dtype of the constant; by default that of an array, int64 or floatX of Python numbers.

    Returns
    -------
    Constant
        Constant variable, whose ``data`` is a read-only NumPy array.

    Raises
    ------
    TypeError
        Where ``value`` is symbolic or not numeric, or ``dtype`` is not a dtype.

    Examples
    --------
    >>> import loopjax.tensor as at
    >>> print(at.constant(2).type, at.constant([1, 2], dtype="float32").type)
    int64() float32(2,)
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
    return recorded(Constant)(_checked(data), name)


def _number(value: Any, name: str | None) -> Constant:
    """Weak constant of a Python number, which keeps its exact value for the dtype that it meets."""
    data = np.asarray(value)
    weak = recorded(Constant)(data.astype(_dtype_of_numbers(data.dtype.kind)), name, weak=True)
    weak.exact = value
    return weak


def _dtype_of_numbers(kind: str) -> str:
    """Dtype of Python numbers of a kind: int64, floatX, or the complex dtype whose parts have dtype floatX."""
    if kind in "iu":
        return "int64"
    if kind == "c":
        return "complex128" if config.floatX == "float64" else "complex64"
    return dtype_name(config.floatX)


def _canonical(data: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Array of Python numbers in int64, floatX or the complex dtype of floatX."""
    kind = data.dtype.kind
    return data.astype(_dtype_of_numbers(kind)) if kind in "iufc" else _checked(data)


def _checked(data: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Array in native byte order; raises ``TypeError`` for one that is not numeric."""
    if data.dtype.kind in "OSUmM":
        raise TypeError(f"an array of dtype {data.dtype} is not numeric: {data!r:.80}")
    return data if data.dtype.isnative else data.astype(data.dtype.newbyteorder("="))


def _holds_variables(value: Any) -> bool:
    """True for a nested list with a variable in it."""
    if isinstance(value, (list, tuple)):
        return any(_holds_variables(item) for item in value)
    return isinstance(value, Variable)
