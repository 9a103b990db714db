"""Input intervals within which every check of a length passes.

A repeated call need not evaluate its checks: it compares its integer inputs with bounds computed once. A length that
rises with one input, as ``n + 1`` or ``minimum(n, 10)`` do, is inverted by bisection; any other has no interval.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Container, Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from loopjax.ir.dim import Dim, evaluate, rises_with
from loopjax.ir.graph import Constant, Variable, toposort
from loopjax.ir.lengths import host_values
from loopjax.ir.scan import MOST_STEPS
from loopjax.shapes.preconditions import TripCountChecks


class InputInterval(NamedTuple):
    """The values that the input at ``position`` may have."""

    position: int
    least: int
    most: int


class LengthBounds(NamedTuple):
    """The values that a length may have."""

    length: Variable
    least: int
    most: int


def trip_count_bounds(checks: TripCountChecks, shapes: Mapping[Variable, Sequence[int]]) -> list[LengthBounds] | None:
    """Return the checks as bounds for inputs of these shapes; ``None`` where a check compares more than a trip count
    with shapes."""
    found = []
    for check in checks.each:
        if check.n_steps.ndim:
            return None
        most = MOST_STEPS
        for _, rows, span in check.sequences:
            (size,) = host_values([rows], {}, shapes)
            if size is not None:
                most = min(most, max(int(size) - span, 0))
            elif span or Dim.of(rows) != Dim.of(check.n_steps):
                return None
        found.append(LengthBounds(check.n_steps, check.least, most))
    return found


def input_intervals(bounds: Iterable[LengthBounds], inputs: Sequence[Variable]) -> tuple[InputInterval, ...] | None:
    """Return intervals of inputs within which lengths keep their bounds; ``None`` where a length does not rise with
    one input."""
    positions = {variable: position for position, variable in enumerate(inputs)}
    found: dict[int, InputInterval] = {}
    for checked in bounds:
        leaf = _invertible_input(checked.length, positions)
        if leaf is None:
            return None
        position = positions[leaf]
        before = found.get(position, InputInterval(position, -(2**63), 2**63))
        least, most = _inverse(leaf, checked)
        found[position] = InputInterval(position, max(before.least, least), min(before.most, most))
    return tuple(found.values())


FARTHEST = {"int64": 2**40, "int32": 2**30}
"""The greatest value of an input from which a trip count is computed: far from where its dtype ends."""

LARGEST_NUMBER = 2**20
"""The greatest number in a length that is inverted."""

NO_WRAP_OPS = ("add", "sub", "minimum", "maximum", "cast", "identity", "trip_count")
"""Ops that do not wrap around for inputs up to ``FARTHEST`` and small numbers."""


def _invertible_input(length: Variable, inputs: Container[Variable]) -> Variable | None:
    """Return the only input that a length is computed from, where the length never falls while that rises and nothing
    wraps around on the way."""
    leaf = rises_with(Dim.of(length))
    if leaf is None or leaf not in inputs or not leaf.type.is_integer or leaf.ndim:
        return None
    # Nodes that only check a trip count have its value.
    nodes = toposort([length], reads=lambda node: node.inputs[:1] if node.op.named("trip_count") else node.inputs)
    numbers = [int(one.data) for node in nodes for one in node.inputs if isinstance(one, Constant) and one.ndim == 0]
    is_safe = all(node.op.named(*NO_WRAP_OPS) for node in nodes) and all(abs(n) <= LARGEST_NUMBER for n in numbers)
    return leaf if is_safe else None


def _inverse(leaf: Variable, bound: LengthBounds) -> tuple[int, int]:
    """Return the least and the greatest value of an input for which a length that rises with it keeps its bounds."""
    dim = Dim.of(bound.length)
    if dim.atom is leaf:
        return bound.least, bound.most

    def length(x: int) -> int:
        return evaluate(dim, {leaf: x})

    info = np.iinfo(leaf.dtype)
    far = FARTHEST.get(leaf.dtype, int(info.max))
    domain = range(max(int(info.min), -far), min(int(info.max), far) + 1)
    first = bisect_left(domain, bound.least, key=length)
    last = bisect_right(domain, bound.most, key=length) - 1
    return domain.start + first, domain.start + last
