"""Comparison of the results of two contenders."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

Compare = Callable[[Any, Any], None]
"""Takes a result and the expected one; raises ``AssertionError`` where they differ."""


def close(tolerance: float = 1e-9) -> Compare:
    """Compare number, shape, dtype, and values within ``tolerance`` of the largest value of the array."""

    def compare(result: Any, expected: Any) -> None:
        got, wanted = _arrays(result), _arrays(expected)
        assert len(got) == len(wanted), f"{len(got)} results, expected {len(wanted)}"
        for one, other in zip(got, wanted, strict=True):
            assert one.dtype == other.dtype, f"dtype {one.dtype}, expected {other.dtype}"
            scale = float(np.max(np.abs(other), initial=0.0))
            np.testing.assert_allclose(one, other, rtol=tolerance, atol=tolerance * scale)

    return compare


TIGHT = close()
"""Comparison of float64 and integers."""


def near(relative: float) -> Compare:
    """Compare estimates from random draws: one number each, equal up to chance."""

    def compare(result: Any, expected: Any) -> None:
        (got,), (wanted,) = _arrays(result), _arrays(expected)
        assert got.shape == wanted.shape, f"shape {got.shape}, expected {wanted.shape}"
        np.testing.assert_allclose(got, wanted, rtol=relative)

    return compare


def within(absolute: float) -> Compare:
    """Compare estimates from random draws: equal shapes, and values equal up to chance."""

    def compare(result: Any, expected: Any) -> None:
        for one, other in zip(_arrays(result), _arrays(expected), strict=True):
            assert one.shape == other.shape, f"shape {one.shape}, expected {other.shape}"
            np.testing.assert_allclose(one, other, rtol=0, atol=absolute)

    return compare


def same_frequencies(mean: float, rms: float) -> Compare:
    """Compare draws of 0 and 1, shape ``(batch, units)``: equal shape, and equal frequency up to chance.

    ``mean`` bounds the difference of the overall frequency, ``rms`` that of the frequencies of the units.
    """

    def compare(result: Any, expected: Any) -> None:
        (got,), (wanted,) = _arrays(result), _arrays(expected)
        assert got.shape == wanted.shape, f"shape {got.shape}, expected {wanted.shape}"
        assert np.isin(got, (0, 1)).all(), "draws other than 0 and 1"
        apart = got.mean(axis=0) - wanted.mean(axis=0)
        assert abs(apart.mean()) <= mean, f"frequencies differ by {abs(apart.mean()):.3f} overall"
        assert np.sqrt((apart**2).mean()) <= rms, f"frequencies of units differ by {np.sqrt((apart**2).mean()):.3f}"

    return compare


def _arrays(result: Any) -> list[np.ndarray[Any, Any]]:
    return [np.asarray(leaf) for leaf in jax.tree.leaves(result)]
