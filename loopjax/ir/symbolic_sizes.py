"""Symbolic sizes: those of `jax.export`, such as ``n`` and ``2*n + 1``, which stand for many numbers.

Where JAX traces a program for them, they are sizes like numbers: types hold them, and lengths are computed of them.
What they cannot do is decide: a comparison that does not hold for all, or fail for all, raises
``jax.errors.InconclusiveDimensionOperation``. So a program of such sizes gets no rewrite that weighs sizes.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import core

from loopjax.errors import Source, UnsupportedError, coded, where

NOMINAL = 256
"""The number that estimates take for a symbolic size."""


def is_symbolic(size: Any) -> bool:
    """Test if a size is symbolic, not a number."""
    return not isinstance(size, (int, np.integer))


def known(shape: Iterable[Any]) -> tuple[int | None, ...]:
    """Return a shape whose symbolic sizes are unknown."""
    return tuple(None if is_symbolic(size) else size for size in shape)


def is_natural(size: Any) -> bool:
    """Test if a size is known not to be negative."""
    return core.max_dim(size, 0) is size


def nominal(size: Any) -> int:
    """Return the size that estimates of time and memory take."""
    return NOMINAL if is_symbolic(size) else int(size)


def counted(start: Any, stop: Any, step: Any) -> Any:
    """Return the length of ``range(start, stop, step)``."""
    return core.max_dim(-((start - stop) // step), 0)


def sliced(size: Any, bounds: slice) -> Any:
    """Return the size of a slice of an axis."""
    axis = jax.ShapeDtypeStruct((size,), "bool")  # type: ignore[no-untyped-call]
    return jax.eval_shape(lambda x: x[bounds], axis).shape[0]


def as_number(size: Any, dtype: Any) -> Any:
    """Return a size as a scalar of a dtype: of NumPy, where it is a number."""
    return jnp.asarray(size).astype(dtype) if is_symbolic(size) else np.asarray(size, dtype)


def needs_number(error: Exception) -> bool:
    """Test if an error of JAX says that a number is needed where a size is symbolic."""
    if isinstance(error, UnsupportedError):  # says so already
        return False
    return isinstance(error, jax.errors.InconclusiveDimensionOperation) or "_DimExpr" in str(error)


def undecided(error: Exception, subject: str, sources: Iterable[Source] = ()) -> UnsupportedError:
    """Return the error where a program needs a number for a symbolic size: JAX's reason, with the user's line."""
    reason = str(error).split("\n")[0].rstrip(".")
    return coded(UnsupportedError, "LJ702")(
        f"{subject}: {reason}. Expected a number, or a size that tells: state what holds, as by "
        f"jax.export.symbolic_shape('n', constraints=['n >= 3']){where(sources)}"
    )
