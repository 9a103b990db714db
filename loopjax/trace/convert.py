"""Conversion of numbers, arrays and lists to variables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import DTypeLike

from loopjax.config import config
from loopjax.errors import ArgumentError, ArgumentRangeError, coded, here, reported
from loopjax.ir.graph import Constant, Variable, recorded
from loopjax.ir.public_ops import ops
from loopjax.ir.types import dtype_name, is_numeric, is_whole
from loopjax.trace.updates import check_unpacked

Number = bool | int | float | complex


def as_variable(value: Any, name: str | None = None) -> Variable:
    """Convert a value to a variable.

    A Python number becomes a weak constant, which takes the dtype of what it meets, as in JAX. An array or NumPy scalar
    keeps its dtype: ``np.float64(2)`` and ``np.sqrt(2)`` make float64 of what they meet.

    Parameters
    ----------
    value : array_like
        Variable, number, array, or nested list. A list of Python numbers is an int64 or floatX array, from whose exact
        numbers a wider dtype is made; a list that holds variables is stacked along a new first axis.
    name : str, optional
        Name of a new constant.

    Returns
    -------
    Variable
        ``value`` itself where it is a variable, else a constant or a stack.

    Raises
    ------
    TypeError
        Where ``value`` is not numeric, is a masked array, or is a JAX tracer: a tracer cannot be a constant of a
        symbolic graph.
    OverflowError
        Where an integer has more than 64 bits.

    Examples
    --------
    >>> import numpy as np
    >>> import loopjax.tensor as at
    >>> print(at.as_variable([1, 2]).type)
    int64(2,)
    >>> x = at.fvector("x")
    >>> (x + 2.5).dtype, (x + np.float64(2.5)).dtype  # a Python number is weak, a NumPy scalar is not
    ('float32', 'float64')
    """
    if isinstance(value, Variable):
        return value
    if isinstance(value, jax.core.Tracer):
        raise coded(TypeError, "LJ701")(
            "a JAX tracer cannot be a constant of a symbolic graph: expected a variable; record the loop on variables "
            "outside of JAX's transformation, and call loopjax.to_jax(inputs, outputs) inside"
        )
    if isinstance(value, Number) and not isinstance(value, np.generic):
        return _number(value, name)
    if isinstance(value, (list, tuple)):
        if not _holds(value, Variable):
            return _numbers(value, name)
        with suppress(TypeError):  # the error names the list
            return ops["stack"](list(value))
    if isinstance(value, (np.ndarray, np.generic, jax.Array)):
        return recorded(Constant)(numeric(value), name)
    check_unpacked(value)
    raise coded(ArgumentError, "LJ508")(
        f"expected a variable, a number or an array, got {type(value).__name__}: {value!r:.80}; "
        f"convert it with numpy.asarray, where it holds numbers{here()}",
        value,
    )


@reported
def constant(value: Any, name: str | None = None, dtype: DTypeLike | None = None) -> Constant:
    """Constant of a fixed dtype.

    Unlike in `as_variable`, a Python number does not adapt to what it meets: it is int64 or floatX.
    ``dtype`` must hold the value, floats but for rounding.

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
        Where ``value`` is symbolic, not numeric or a masked array, ``dtype`` is not a dtype, or it would lose a part of
        the value.
    OverflowError
        Where an integer does not fit.

    Examples
    --------
    >>> import loopjax.tensor as at
    >>> print(at.constant(2).type, at.constant([1, 2], dtype="float32").type)
    int64() float32(2,)
    """
    if isinstance(value, Variable) and not isinstance(value, Constant):
        raise coded(TypeError, "LJ901")(
            f"constant() takes a value, not the symbolic {value!r}; pass it as it is, or its x.eval(){here()}"
        )
    return recorded(Constant)(strong(value, dtype), name)


def strong(value: Any, dtype: DTypeLike | None = None) -> np.ndarray[Any, Any]:
    """Array in ``dtype``, which must hold the value; by default its own, int64 or floatX of Python numbers."""
    data = numeric(value.data if isinstance(value, Constant) else value)
    if dtype is not None:
        return held(data, dtype_name(dtype))
    return data.astype(_dtype_of_numbers(data)) if _is_of_python(value) else data


def numeric(value: Any) -> np.ndarray[Any, Any]:
    """Array of numbers, in native byte order.

    Raises ``TypeError`` for a value that is not numeric or that NumPy would drop a part of, and ``OverflowError`` for a
    list with integers of more than 64 bits.
    """
    if isinstance(value, np.ma.MaskedArray) or (isinstance(value, (list, tuple)) and _holds(value, np.ma.MaskedArray)):
        raise coded(ArgumentError, "LJ509")(
            f"a masked array has no value where it is masked: expected an array, got {type(value).__name__}; fill it "
            "with "
            f".filled(value), or pass its data and its mask as two arrays{here()}",
            value,
        )
    try:
        data = np.asarray(value)
    except ValueError:
        raise coded(ArgumentError, "LJ509")(
            f"expected an array, or lists of one length, got {value!r:.80}; pass rows of one length{here()}", value
        ) from None
    if data.dtype.kind in "Of" and not isinstance(value, np.ndarray) and _has_long_integer(data, value):
        data = _unsigned(value)
    if not is_numeric(data.dtype):
        raise coded(ArgumentError, "LJ509")(
            f"an array of dtype {data.dtype} is not numeric: expected numbers, got {data!r:.80}; convert it with "
            f".astype('float64'), where it holds numbers{here()}",
            value,
        )
    return data if data.dtype.isnative else data.astype(data.dtype.newbyteorder("="))


def held(data: np.ndarray[Any, Any], dtype: str) -> np.ndarray[Any, Any]:
    """Array in another dtype, which must hold the values: see `holds`."""
    if holds(data, dtype):
        return (data.real if data.dtype.kind == "c" and not is_complex(dtype) else data).astype(jnp.dtype(dtype))
    expected = "real numbers" if data.dtype.kind == "c" else "numbers that it has the digits for"
    if is_whole(dtype):
        info = np.iinfo(dtype)
        expected = f"integers from {info.min} to {info.max}"
    shown = np.array2string(data, threshold=6)
    message = f"{dtype} does not hold {shown}: expected {expected}; write a dtype that does"
    if is_whole(dtype) and data.dtype.kind in "iu":
        raise coded(OverflowError, "LJ509")(f"{message}{here()}")
    raise coded(TypeError, "LJ510")(
        f"{message}, or convert the value with NumPy's .astype({dtype!r}) where the loss is meant{here()}"
    )


def holds(data: np.ndarray[Any, Any], dtype: str) -> bool:
    """Test if a dtype can hold the values of an array; only floats may be rounded."""
    if data.dtype == dtype or not data.size:
        return True
    if data.dtype.kind == "c" and not is_complex(dtype):
        return not data.imag.any() and holds(data.real, dtype)
    if dtype == "bool":
        return bool(((data == 0) | (data == 1)).all())
    if is_whole(dtype):
        info, least, most = np.iinfo(dtype), data.min(), data.max()
        whole = data.dtype.kind in "biu" or (np.isfinite(data).all() and (data == np.trunc(data)).all())
        return bool(whole) and info.min <= int(least) and int(most) <= info.max
    with np.errstate(over="ignore", invalid="ignore"):
        made = data.astype(jnp.dtype(dtype))
        if data.dtype.kind in "iu":
            return bool((made.astype("float64").astype(data.dtype) == data).all()) if not is_complex(dtype) else True
    return bool((np.isfinite(made) | ~np.isfinite(data)).all())


def is_complex(dtype: str) -> bool:
    """True for a complex dtype."""
    return dtype.startswith("complex")


def _number(value: Number, name: str | None) -> Constant:
    """Weak constant of a Python number, which keeps its exact value for the dtype that it meets."""
    if isinstance(value, bool):
        return recorded(Constant)(np.asarray(value), name)
    data = numeric(value)
    with np.errstate(over="ignore"):
        weak = recorded(Constant)(data.astype(_dtype_of_numbers(data)), name, weak=True)
    weak.exact = value
    return weak


def _numbers(values: Sequence[Any], name: str | None) -> Constant:
    """Constant of a list; where all its elements are Python numbers, their exact values are kept for a wider dtype."""
    data = numeric(values)
    with np.errstate(over="ignore"):
        kept = data.astype(_dtype_of_numbers(data)) if _is_of_python(values) else data
    made = recorded(Constant)(kept, name)
    if data.dtype != made.data.dtype:
        made.exact = data.tolist()
    return made


def _dtype_of_numbers(data: np.ndarray[Any, Any]) -> np.dtype[Any]:
    """Dtype of Python numbers: int64, floatX, or the complex dtype whose parts have dtype floatX."""
    kind = data.dtype.kind
    if kind in "iu":
        return data.dtype if data.dtype == "uint64" else np.dtype("int64")
    if kind == "c":
        return np.dtype("complex128" if config.floatX == "float64" else "complex64")
    return jnp.dtype(config.floatX) if kind == "f" else data.dtype


def _has_long_integer(data: np.ndarray[Any, Any], value: Any) -> bool:
    """True for a number or list with an integer beyond int64, which NumPy turns into a float or an object."""
    if data.dtype.kind == "f" and not (data.dtype == "float64" and (np.abs(data) >= 2.0**63).any()):
        return False
    return any(type(number) is int and not -(2**63) <= number < 2**63 for number in _leaves(value))


def _unsigned(value: Any) -> np.ndarray[Any, Any]:
    """Array of dtype uint64 of a number or list; raises ``OverflowError`` where there are others than its integers."""
    if not all(isinstance(number, int) and 0 <= number < 2**64 for number in _leaves(value)):
        raise coded(ArgumentRangeError, "LJ509")(
            f"an integer of {value!r:.80} does not fit into 64 bits; write it as a float, expected 0 to {2**64 - 1} of "
            f"integers{here()}",
            value,
        )
    return np.asarray(value, "uint64")


def _is_of_python(value: Any) -> bool:
    """True for a Python number and for nested lists of them; NumPy's scalars and arrays have a dtype."""
    return all(isinstance(leaf, Number) and not isinstance(leaf, np.generic) for leaf in _leaves(value))


def _leaves(value: Any) -> Iterator[Any]:
    """Elements of nested lists."""
    if isinstance(value, (list, tuple)):
        for item in value:
            yield from _leaves(item)
    else:
        yield value


def _holds(value: Any, kind: type) -> bool:
    """True for a nested list with an object of a class in it."""
    return any(isinstance(leaf, kind) for leaf in _leaves(value))
