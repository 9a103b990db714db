"""``row``: a JAX function as a function of variables, for the vocabulary of the peers."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from loopjax.interop.wrap_jax import wrap_jax
from loopjax.trace.convert import as_variable


def row(function: Callable[..., Any], arrays: int | None = 1, name: str | None = None) -> Callable[..., Any]:
    """Return a JAX function as one of variables: its first ``arrays`` parameters are arrays, the rest are not.

    With ``arrays=None`` the parameters are one list of arrays.
    """
    wrapped = wrap_jax(function, name=name, x64=True)

    @functools.wraps(function)
    def record(*args: Any, **options: Any) -> Any:
        if arrays is None:
            return wrapped([as_variable(one) for one in args[0]], *map(_static, args[1:]), **_statics(options))
        given = [as_variable(one) for one in args[:arrays]]
        return wrapped(*given, *map(_static, args[arrays:]), **_statics(options))

    record.__name__ = name or function.__name__
    return record


def result(shape: Any, dtype: Any) -> jax.ShapeDtypeStruct:
    """Return the shape and dtype of what a host callback returns."""
    return jax.ShapeDtypeStruct(tuple(shape), jnp.dtype(dtype))  # type: ignore[no-untyped-call]


def _statics(options: dict[str, Any]) -> dict[str, Any]:
    return {key: _static(value) for key, value in options.items()}


def _static(value: Any) -> Any:
    """Return an option that is no array in a form that can be hashed."""
    if isinstance(value, list):
        return tuple(_static(one) for one in value)
    if isinstance(value, np.generic):
        return value.item()
    return value
