"""Pooling of Theano's ``tensor.signal.pool``, on ``jax.lax.reduce_window``; and its ``fft``.

A window covers ``ws`` elements, every ``stride`` of them; ``ignore_border`` leaves out windows that reach past the end.
A maximum's gradient goes to each of the equal elements of a window, as in Theano; XLA's own goes to the first.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from loopjax.compat.rows import row
from loopjax.errors import coded, here
from loopjax.ir.graph import Variable

MODES = ("max", "sum", "average_inc_pad", "average_exc_pad")


def pool_2d(
    input: Any,
    ws: Any = None,
    ignore_border: bool | None = None,
    stride: Any = None,
    pad: Any = (0, 0),
    mode: str = "max",
    ds: Any = None,
    st: Any = None,
    padding: Any = None,
) -> Variable:
    """Pool the last two axes of an array."""
    return _pool(
        2,
        input,
        ws if ws is not None else ds,
        ignore_border,
        stride if stride is not None else st,
        padding if padding is not None else pad,
        mode,
    )


def pool_3d(
    input: Any,
    ws: Any = None,
    ignore_border: bool | None = None,
    stride: Any = None,
    pad: Any = (0, 0, 0),
    mode: str = "max",
    ds: Any = None,
    st: Any = None,
    padding: Any = None,
) -> Variable:
    """Pool the last three axes of an array."""
    return _pool(
        3,
        input,
        ws if ws is not None else ds,
        ignore_border,
        stride if stride is not None else st,
        padding if padding is not None else pad,
        mode,
    )


def max_pool_2d(
    input: Any, ds: Any, ignore_border: bool | None = None, st: Any = None, padding: Any = (0, 0), mode: str = "max"
) -> Variable:
    """Pool the last two axes of an array: the old name."""
    return pool_2d(input, ds, ignore_border, st, padding, mode)


def max_pool_2d_same_size(input: Any, patch_size: Any) -> Variable:
    """The maximum of each patch at its place, zeros elsewhere."""
    import jax.numpy as jnp

    rows, columns = _ints(patch_size, 2, "patch_size")

    def run(x: Any) -> Any:
        lead = x.shape[:-2]
        h, w = x.shape[-2] // rows * rows, x.shape[-1] // columns * columns
        patches = x[..., :h, :w].reshape(*lead, h // rows, rows, w // columns, columns)
        kept = jnp.where(patches == patches.max((-3, -1), keepdims=True), patches, 0).reshape(*lead, h, w)
        return jnp.pad(kept, [(0, 0)] * len(lead) + [(0, x.shape[-2] - h), (0, x.shape[-1] - w)])

    made: Variable = row(run, 1, "max_pool_2d_same_size")(input)
    return made


def _pool(axes: int, x: Any, window: Any, ignore_border: Any, stride: Any, pad: Any, mode: str) -> Variable:
    if mode not in MODES:
        raise coded(ValueError, "LJ901")(f"a mode of pooling is one of {MODES}, got {mode!r}{here()}")
    sizes = _ints(window, axes, "ws")
    steps = sizes if stride is None else _ints(stride, axes, "stride")
    zeros = _ints(pad, axes, "pad")
    ignore = bool(ignore_border) or any(zeros)

    def run(x: Any) -> Any:
        return _pooled(x, sizes, steps, zeros, ignore, mode)

    made: Variable = row(run, 1, f"pool_{axes}d")(x)
    return made


def _pooled(x: Any, sizes: Sequence[int], steps: Sequence[int], zeros: Sequence[int], ignore: bool, mode: str) -> Any:
    axes = len(sizes)
    lead = x.ndim - axes
    around = []
    for size, span, step, pad in zip(x.shape[lead:], sizes, steps, zeros, strict=True):
        count = _windows(size + 2 * pad, span, step, ignore)
        around.append((pad, max((count - 1) * step + span - size - pad, -pad if ignore else 0)))
    window, strides = (1,) * lead + tuple(sizes), (1,) * lead + tuple(steps)
    pads = ((0, 0),) * lead + tuple(around)

    def folded(values: Any, start: Any, combine: Any) -> Any:
        return lax.reduce_window(values, np.asarray(start, values.dtype), combine, window, strides, pads)

    if mode == "max":
        least = -np.inf if jnp.issubdtype(x.dtype, jnp.floating) else np.iinfo(x.dtype).min
        largest = jax.custom_jvp(lambda values: folded(values, least, lax.max))

        def tangent(primals: tuple[Any], tangents: tuple[Any]) -> tuple[Any, Any]:
            (values,), (moved,) = primals, tangents
            found = largest(values)
            places = _places(values, least, window, strides, pads), _places(moved, 0, window, strides, pads)
            return found, sum(jnp.where(one == found, move, 0) for one, move in zip(*places, strict=True))

        largest.defjvp(tangent)
        return largest(x)
    if not jnp.issubdtype(x.dtype, jnp.floating) and mode != "sum":
        x = x.astype("float64")
    total = folded(x, 0, lax.add)
    if mode == "sum":
        return total
    ones = jnp.ones(x.shape[lead:], x.dtype)
    if mode == "average_inc_pad":
        ones = jnp.pad(ones, [(pad, pad) for pad in zeros], constant_values=1)
        count = lax.reduce_window(
            ones,
            np.asarray(0, x.dtype),
            lax.add,
            tuple(sizes),
            tuple(steps),
            tuple((0, high - pad) for (_, high), pad in zip(around, zeros, strict=True)),
        )
    else:
        count = lax.reduce_window(ones, np.asarray(0, x.dtype), lax.add, tuple(sizes), tuple(steps), tuple(around))
    return total / count


def _places(
    x: Any, fill: Any, window: Sequence[int], strides: Sequence[int], pads: Sequence[tuple[int, int]]
) -> Iterator[Any]:
    """Yield for each place within a window the elements that stand there, one for each window."""
    padded = lax.pad(x, np.asarray(fill, x.dtype), [(low, high, 0) for low, high in pads])
    counts = [(size - span) // step + 1 for size, span, step in zip(padded.shape, window, strides, strict=True)]
    for place in itertools.product(*map(range, window)):
        end = [start + (n - 1) * step + 1 for start, n, step in zip(place, counts, strides, strict=True)]
        yield lax.slice(padded, place, end, strides)


def _windows(size: int, span: int, step: int, ignore: bool) -> int:
    """Return the number of windows along an axis, by Theano's rule."""
    if ignore:
        return max((size - span) // step + 1, 0)
    if step >= span:
        return (size - 1) // step + 1
    return max(0, (size - 1 - span + step) // step) + 1


def _ints(value: Any, count: int, name: str) -> tuple[int, ...]:
    numbers = [value] * count if isinstance(value, (int, np.integer)) else list(value)
    found = [getattr(number, "data", number) for number in numbers]
    if len(found) != count or any(isinstance(number, Variable) for number in found):
        raise ValueError(f"{name} is {count} numbers, got {value!r}{here()}")
    return tuple(int(number) for number in found)


def rfft(inp: Any, norm: str | None = None) -> Variable:
    """Fourier transform of real arrays over all axes but the first, as real and imaginary parts on a last axis."""
    scale = _norm(norm, forward=True)

    def run(x: Any) -> Any:
        axes = tuple(range(1, x.ndim))
        found = jnp.fft.rfftn(x, axes=axes) * scale(x.shape[1:], x.dtype)
        return jnp.stack([found.real, found.imag], -1).astype(x.dtype)

    made: Variable = row(run, 1, "rfft")(inp)
    return made


def irfft(inp: Any, norm: str | None = None, is_odd: bool = False) -> Variable:
    """Inverse of ``rfft``; ``is_odd`` says that the last axis was of odd length."""
    scale = _norm(norm, forward=False)

    def run(x: Any) -> Any:
        whole = x[..., 0] + 1j * x[..., 1]
        shape = (*whole.shape[1:-1], 2 * (whole.shape[-1] - 1) + int(is_odd))
        found = jnp.fft.irfftn(whole, shape, axes=tuple(range(1, whole.ndim)))
        return (found * scale(shape, x.dtype)).astype(x.dtype)

    made: Variable = row(run, 1, "irfft")(inp)
    return made


def _norm(norm: str | None, forward: bool) -> Callable[..., Any]:
    """Return the factor of a norm: ``None`` scales the inverse by 1/n, ``"ortho"`` both, ``"no_norm"`` neither."""
    if norm not in (None, "ortho", "no_norm"):
        raise coded(ValueError, "LJ901")(f"norm is None, 'ortho' or 'no_norm', not {norm!r}{here()}")

    def scale(shape: Sequence[int], dtype: Any) -> Any:
        n = float(np.prod(shape))
        power = {None: 0.0, "ortho": -0.5 if forward else 0.5, "no_norm": 0.0 if forward else 1.0}[norm]
        return np.asarray(n**power, dtype)

    return scale


def pools() -> dict[str, Any]:
    """Return the names of ``tensor.signal.pool``."""
    return {one.__name__: one for one in (pool_2d, pool_3d, max_pool_2d, max_pool_2d_same_size)}


def transforms() -> dict[str, Any]:
    """Return the names of ``tensor.fft``."""
    return {"rfft": rfft, "irfft": irfft}
