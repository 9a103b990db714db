"""Capacities: the lengths that programs are compiled for, so that one program serves all lengths up to its own.

Lengths that vary from call to call are rounded up (bucketing): few programs are compiled, and the rows past a length
are padding. The functions compute with NumPy on the host and with ``jax.numpy`` inside of a program.
"""

from __future__ import annotations

from typing import Any

from loopjax.ir.scan import MOST_STEPS

FINE = (0, *(2**k for k in range(3, 8)), *(step * 2**k for k in range(7, 30) for step in (2, 3)), MOST_STEPS)
"""Capacities in programs with gradients, whose loops store as many steps as the capacity, or with decompositions, whose
work grows with its third power: powers of 2, and from 256 on numbers half way between two. The least is 8: smaller ones
would compile more programs and gain nothing."""

COARSE = (0, 16, 32, 64, *(4**k for k in range(4, 16)), MOST_STEPS)
"""Capacities elsewhere, where spare capacity costs only memory."""


def capacity(length: Any, fine: bool, xp: Any) -> Any:
    """Round a length up to the next of the capacities; 0 stays 0.

    ``xp`` is NumPy, or ``jax.numpy``.
    """
    capacities = xp.asarray(FINE if fine else COARSE, dtype=int)
    return capacities[xp.minimum(xp.searchsorted(capacities, length), len(capacities) - 1)]


def steps_of_pairs(lengths: Any, most: Any, xp: Any) -> Any:
    """Return the most steps of a lane, where the longest of ``lengths`` shares one with the shortest, the next longest
    with the next shortest, and so on.

    The result is rounded up to a 16th of ``most``, so that few programs serve all lengths.

    ``xp`` is NumPy, or ``jax.numpy``.
    """
    ordered = xp.sort(lengths)
    pairs = ordered + ordered[::-1]
    # Of an odd number of lengths the middle one has a lane to itself; the longest length is no less than it.
    longest = xp.max(xp.concatenate([pairs[: pairs.shape[0] // 2], ordered[-1:]]))
    unit = xp.maximum(most // 16, 1)
    return -(-longest // unit) * unit
