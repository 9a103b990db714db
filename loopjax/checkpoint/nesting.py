"""The nest of loops with the least recomputation among those that store few enough states.

A loop of ``s`` iterations stores ``s`` states and recomputes each of its steps once. So ``k`` nested loops that
together store ``c`` states reverse about ``(c / k) ** k`` steps with ``k`` recomputations of each. The optimum over all
schedules reverses ``C(c + k, k)`` steps (Griewank and Walther, Algorithm 799: revolve, ACM TOMS 26, 2000), but its
chunks differ in length, and the iterations of a compiled loop do not. Some of the loss is regained by what follows the
first box: a second box with a loop less, and single steps after it. Each of the three is compiled, so there are no
more.

No loop has one iteration: XLA unrolls such a loop, finds that its steps have been computed before, and stores them
(common-subexpression elimination undoes the checkpoint).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import lru_cache

from loopjax.ir.schedule import Box, Nest

CANDIDATES = 64
"""Sizes of an outer loop that are tried where it has several loops inside and there are many sizes."""


def least_recomputation(n_steps: int, states: int) -> Nest | None:
    """Return a nest for ``n_steps`` with at most ``states`` states at one time, ``None`` where there is none.

    Among the least deep nests it has about the least recomputation.
    """
    for depth in range(1, n_steps.bit_length() + 1):
        nests = (nest for nest in _nests(n_steps, states, depth) if nest.states <= states)
        found = min(nests, key=_cost, default=None)
        if found is not None:
            return found
    return None


def least_states(n_steps: int) -> int:
    """Return the fewest states with which ``least_recomputation`` finds a nest."""
    return next(states for states in range(3, n_steps + 3) if least_recomputation(n_steps, states) is not None)


def _cost(nest: Nest) -> float:
    """Return the recomputed steps; another box, compiled with slices of its own, costs a 20th of all steps."""
    return nest.recomputed + nest.n_steps / 20 * len(nest.boxes)


def _nests(n_steps: int, states: int, depth: int) -> Iterator[Nest]:
    """Yield nests whose first box has ``depth`` loops: that box only, or more, with a state between boxes."""
    sizes = _exact(n_steps, states - depth - 1, depth)
    if sizes is not None:
        yield Nest((Box(sizes),))
    if depth == 1:
        return
    for boundaries in range(1, depth):
        for follow in {1, depth - 1}:
            for boxes in _pairs(n_steps, states - boundaries, depth, follow):
                yield Nest(boxes)


@lru_cache(maxsize=4096)
def _exact(n_steps: int, total: int, depth: int) -> tuple[int, ...] | None:
    """Return ``depth`` sizes whose product is ``n_steps`` and whose sum is least and at most ``total``."""
    if depth == 1:
        return (n_steps,) if n_steps <= total else None
    if total < depth or _largest(total, depth) < n_steps:
        return None
    found: list[tuple[int, ...]] = []
    for size in range(2, min(total, n_steps // 2) + 1):
        rest = _exact(n_steps // size, total - size, depth - 1) if n_steps % size == 0 else None
        if rest is not None:
            found.append((size, *rest))
    return min(found, key=sum, default=None)


@lru_cache(maxsize=4096)
def _box_and_rest(n_steps: int, states: int, depth: int) -> tuple[Box, ...] | None:
    """Return a box of at most ``depth`` loops and single steps after it, with the least recomputation; more boxes only
    where a long loop has no such pair."""
    if n_steps <= states - 2:
        return (Box((n_steps,)),) if n_steps else ()
    pairs = list(_pairs(n_steps, states, depth, 1))
    if pairs:
        return min(pairs, key=lambda boxes: _cost(Nest(boxes)))
    return next(_pairs(n_steps, states, depth, depth - 1), None)


def _pairs(n_steps: int, states: int, depth: int, follow: int) -> Iterator[tuple[Box, ...]]:
    """Yield a box of ``depth`` loops with the boxes of ``follow`` loops that follow it."""
    for outer in _outer_sizes(states, depth):
        left = states - outer
        least = -(-max(n_steps - _reach(left, follow), 1) // outer)
        sizes = _sizes(least, left - depth - 1, depth - 1)
        if sizes is None or outer * math.prod(sizes) > n_steps:
            continue
        rest = _box_and_rest(n_steps - outer * math.prod(sizes), left, follow)
        if rest is not None:
            yield (Box((outer, *sizes)), *rest)


@lru_cache(maxsize=4096)
def _reach(states: int, depth: int) -> int:
    """Return the most steps of a box of ``depth`` loops and single steps after it."""
    return max(
        (
            outer * _largest(states - outer - depth - 1, depth - 1) + max(states - outer - 2, 0)
            for outer in _outer_sizes(states, depth)
        ),
        default=max(states - 2, 0),
    )


def _outer_sizes(states: int, depth: int) -> range:
    """Return the sizes of the outermost of several loops to try: all, or about evenly spaced ones."""
    if depth == 1:
        return range(0)
    return range(2, states - 2 * depth + 1, 1 if depth == 2 else max(states // CANDIDATES, 1))


def _largest(total: int, depth: int) -> int:
    """Return the largest product of ``depth`` sizes that add up to ``total``."""
    size, more = divmod(total, depth)
    return int((size + 1) ** more * size ** (depth - more))


def _sizes(least: int, total: int, depth: int) -> tuple[int, ...] | None:
    """Return ``depth`` sizes that add up to at most ``total``, with a product of ``least`` or little more."""
    least = max(least, 2**depth)
    if total < depth or _largest(total, depth) < least:
        return None
    root = max(math.floor(least ** (1 / depth)), 1)
    found: tuple[int, ...] | None = None
    for size in (root, root + 1):
        for more in range(depth):
            first = (size + 1,) * more + (size,) * (depth - 1 - more)
            sizes = (*first, max(-(-least // math.prod(first)), 1))
            if min(sizes) > 1 and sum(sizes) <= total and (found is None or math.prod(sizes) < math.prod(found)):
                found = sizes
    return tuple(sorted(found, reverse=True)) if found else None
