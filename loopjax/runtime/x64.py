"""64-bit types for the time of a call, whatever JAX's flag is."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import jax


class ScopedX64:
    """``jax.enable_x64`` as it must be where an interrupt can come at any moment.

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


def switched(run: Callable[..., Any], wide: bool) -> Callable[..., Any]:
    """``run`` with JAX's flag on or off, where it is not."""
    enable = jax.enable_x64

    def under(*arrays: Any) -> Any:
        context = enable(wide)
        try:
            with context:
                return run(*arrays)
        except BaseException:
            _restore(context, not wide)
            raise

    return under


def _restore(context: Any, before: bool) -> None:
    """Sets the flag to what it was, where an interrupt has left it as it is within the context."""
    if x64_is_on() == before:
        return
    try:
        context.__exit__(None, None, None)
    except AttributeError:
        # Interrupted on entry, before it noted what there was: enter the old value and stay.
        jax.enable_x64(before).__enter__()


def x64_is_on() -> bool:
    """JAX's flag, as it is here and now."""
    return bool(jax.config.jax_enable_x64)  # type: ignore[attr-defined]


NARROW = {"float64": "float32", "int64": "int32", "uint64": "uint32", "complex128": "complex64"}
"""What JAX makes of 64-bit dtypes where x64 is off."""


def narrowed(array: Any) -> Any:
    """An array of 64-bit elements cast to 32 bits; any other as it is."""
    dtype = NARROW.get(str(array.dtype))
    return array if dtype is None else array.astype(dtype)


def holds_tracers(values: Iterable[Any]) -> bool:
    """Whether JAX traces one of them."""
    return any(isinstance(value, jax.core.Tracer) for value in values)
