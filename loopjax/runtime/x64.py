"""JAX's x64 flag, on for the time of a call: dtypes mean what they say whatever the flag is outside."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import jax

from loopjax.ir.fill import is_key_dtype
from loopjax.ir.types import NARROW, x64_is_on


class ScopedX64:
    """``jax.enable_x64`` that survives an interrupt at any moment.

    Python may raise ``KeyboardInterrupt`` inside of a context's own entry or exit, and would leave the flag set for
    all that the thread does after. ``restore`` mends that; it does nothing where nothing is wrong.
    """

    __slots__ = ("_before", "_context")

    def __init__(self) -> None:
        self._before = x64_is_on()
        self._context: Any = None

    def __enter__(self) -> None:
        self._context = jax.enable_x64(True)
        self._context.__enter__()

    def __exit__(self, *exception: object) -> None:
        self._context.__exit__(*exception)

    def restore(self) -> None:
        """Sets the flag to what it was, after an exception."""
        if self._context is not None:
            _restore(self._context, self._before)


def with_x64(run: Callable[..., Any]) -> Callable[..., Any]:
    """The function with JAX's x64 flag on, switched only where it is off."""
    flag = jax.enable_x64

    def switched(*arrays: Any) -> Any:
        if flag.value:
            return run(*arrays)
        context = flag(True)
        try:
            with context:
                return run(*arrays)
        except BaseException:
            _restore(context, False)
            raise

    return switched


def _restore(context: Any, before: bool) -> None:
    """Resets the flag where an interrupt has left it as it is inside the context."""
    if x64_is_on() == before:
        return
    try:
        context.__exit__(None, None, None)
    except AttributeError:
        # Interrupted on entry, before it noted what there was: enter the old value and stay.
        jax.enable_x64(before).__enter__()


def narrowed(array: Any) -> Any:
    """Casts an array of 64-bit elements to 32 bits; returns any other as it is."""
    dtype = NARROW.get(str(array.dtype))
    return array if dtype is None else array.astype(dtype)


def is_key(array: Any) -> bool:
    """Test if an array holds random keys."""
    return is_key_dtype(array.dtype)


def holds_tracers(values: Iterable[Any]) -> bool:
    """Test if a value is a JAX tracer."""
    return any(isinstance(value, jax.core.Tracer) for value in values)
