"""Functions of the peers' ``tensor`` whose conventions are not the core's, and old names that only programs use."""

from __future__ import annotations

import functools
from typing import Any

import jax.numpy as jnp
import numpy as np

from loopjax import tensor
from loopjax.compat.host import call_on_host
from loopjax.compat.library import current
from loopjax.compat.rows import result
from loopjax.errors import here
from loopjax.interop.wrap_jax import wrap_jax
from loopjax.ir.graph import Constant, Variable, recorded
from loopjax.ir.types import dtype_name
from loopjax.trace.convert import as_variable, constant, strong


def as_tensor_variable(x: Any, name: str | None = None, ndim: int | None = None, dtype: Any = None) -> Variable:
    """Convert a value to a variable, of a dtype and a number of dimensions if given."""
    if isinstance(x, Variable) or dtype is None:
        made = tensor.as_tensor_variable(x, name, ndim)
    else:
        made = tensor.as_tensor_variable(np.asarray(x, dtype_name(dtype)), name, ndim)
    return made if dtype is None else tensor.cast(made, dtype)


def constant_of(x: Any, name: str | None = None, ndim: int | None = None, dtype: Any = None) -> Constant:
    """Return a constant; a Python number is int64 or floatX unless ``dtype`` says otherwise."""
    data = strong(x, dtype)
    return recorded(Constant)(data.reshape((1,) * max((ndim or 0) - data.ndim, 0) + data.shape), name)


def stack(*tensors: Any, axis: int | None = None) -> Variable:
    """Join arrays along a new axis: ``stack([x, y], axis)``, or Theano's ``stack(x, y)``."""
    if tensors and isinstance(tensors[0], (list, tuple)):
        position = axis if axis is not None else tensors[1] if len(tensors) > 1 else 0
        return tensor.stack(list(tensors[0]), axis=int(position))
    return tensor.stack(list(tensors), axis=axis or 0)


def stacklists(values: Any) -> Variable:
    """Join nested lists of variables to one array."""
    if isinstance(values, (list, tuple)):
        return tensor.stack([stacklists(value) for value in values])
    return as_variable(values)


def flatten(x: Any, ndim: int | None = None, outdim: int | None = None) -> Variable:
    """Merge trailing axes, down to ``ndim`` axes."""
    return tensor.flatten(x, ndim if ndim is not None else outdim if outdim is not None else 1)


def choose(a: Any, choices: Any, out: None = None, mode: str = "raise") -> Variable:
    """Elements of the arrays ``choices`` that the integers ``a`` choose."""
    rows = tensor.stack(list(choices)) if isinstance(choices, (list, tuple)) else as_variable(choices)
    places = as_variable(a)
    count = rows.shape[0]
    if mode == "wrap":
        places = places % count
    elif mode == "clip":
        places = tensor.clip(places, 0, count - 1)

    def pick(rows: Any, places: Any) -> Any:
        return jnp.take_along_axis(
            jnp.broadcast_to(rows, (rows.shape[0], *jnp.broadcast_shapes(rows.shape[1:], places.shape))),
            jnp.broadcast_to(places, jnp.broadcast_shapes(rows.shape[1:], places.shape))[None],
            axis=0,
        )[0]

    picked: Variable = wrap_jax(pick, name="choose", x64=True)(rows, places)
    return picked


def nary(binary: Any) -> Any:
    """Return a function of two operands as one of any number."""

    @functools.wraps(binary)
    def combined(*operands: Any) -> Variable:
        if not operands:
            raise TypeError(f"{binary.__name__}() takes at least one operand{here()}")
        return functools.reduce(binary, operands[1:], as_variable(operands[0]))

    return combined


def addbroadcast(x: Any, *axes: int) -> Variable:
    """Declare that axes have size 1, so that they stretch."""
    return tensor.specify_broadcastable(x, *axes)


class Rebroadcast:
    """Declares which axes have size 1, by pairs of an axis and a bool."""

    def __init__(self, *axes: Any) -> None:
        self.ones = [axis for axis, is_one in axes if is_one]

    def __call__(self, x: Any) -> Variable:
        return tensor.specify_broadcastable(x, *self.ones) if self.ones else tensor.identity(x)


def shape_tuple(x: Any) -> tuple[Any, ...]:
    """Return the shape with the sizes that are known as numbers."""
    variable = as_variable(x)
    return tuple(
        variable.shape[axis] if size is None else constant(size) for axis, size in enumerate(variable.type.shape)
    )


def upcast(*dtypes: str) -> str:
    """Return NumPy's common dtype of several."""
    return str(np.result_type(*(np.empty(0, dtype_name(dtype)) for dtype in dtypes)).name)


def arange(start: Any, stop: Any = None, step: Any = 1, dtype: Any = None) -> Variable:
    """Numbers from ``start`` to ``stop``, as NumPy's; bounds may be float variables."""
    first, last = (0, start) if stop is None else (start, stop)
    bounds = [as_variable(one) for one in (first, last, step)]
    if not any(one.type.is_float and not isinstance(one, Constant) for one in bounds):
        return tensor.arange(start, stop, step, dtype)
    begin, end, by = bounds
    count = tensor.cast(tensor.ceil((end - begin) / by), "int64")
    numbers = begin + by * tensor.arange(count)
    return numbers if dtype is None else tensor.cast(numbers, dtype)


def softmax_vector_as_row(softmax: Any) -> Any:
    """Return a softmax of ``nnet`` that makes a vector a matrix of one row, where the library does so."""

    @functools.wraps(softmax)
    def of_rows(c: Any, *args: Any, **options: Any) -> Variable:
        x = as_variable(c)
        if x.ndim == 1 and current().softmax_of_vector_is_row and not args and not options:
            x = x.dimshuffle("x", 0)
        result: Variable = softmax(x, *args, **options)
        return result

    return of_rows


def softmax(c: Any, axis: Any = "default") -> Variable:
    """Softmax along an axis; over all of them with ``axis=None``."""
    x = as_variable(c)
    chosen = current().softmax_axis if isinstance(axis, str) else axis
    if chosen is None and x.ndim != 1:
        return tensor.reshape(tensor.softmax(tensor.flatten(x)), x.shape, ndim=x.ndim)
    return tensor.softmax(x, axis=-1 if chosen is None else chosen)


def log_softmax(c: Any, axis: Any = "default") -> Variable:
    """Logarithm of the softmax along an axis; over all of them with ``axis=None``."""
    x = as_variable(c)
    chosen = current().softmax_axis if isinstance(axis, str) else axis
    if chosen is None:
        return x - tensor.logsumexp(x)
    return x - tensor.logsumexp(x, axis=chosen, keepdims=True)


class Assert:
    """Checks conditions while a program runs, and passes a value on.

    Parameters
    ----------
    msg
        The message of the ``AssertionError``.
    """

    exc_type: Any = AssertionError

    def __init__(self, msg: str = "Assert failed!") -> None:
        self.msg = msg

    def __call__(self, value: Any, *conditions: Any) -> Variable:
        def check(held: Any) -> np.ndarray[Any, Any]:
            if not bool(np.all(held)):
                raise self.exc_type(self.msg)
            return np.ones((), bool)

        def passed(x: Any, *held: Any) -> Any:
            good = jnp.asarray([jnp.all(one) for one in held]).all()
            sure = call_on_host(check, result((), "bool"), good)
            return jnp.where(sure, x, jnp.zeros_like(x))  # XLA would drop a check whose result changes nothing

        if not conditions:
            return as_variable(value)
        checked: Variable = wrap_jax(passed, name="assert", x64=True)(
            as_variable(value), *(as_variable(one) for one in conditions)
        )
        return checked


class CheckAndRaise(Assert):
    """Checks conditions and raises an error of a given kind.

    Parameters
    ----------
    exc_type
        The kind of error.
    msg
        The message.
    """

    def __init__(self, exc_type: Any = AssertionError, msg: str = "") -> None:
        super().__init__(msg)
        self.exc_type = exc_type
