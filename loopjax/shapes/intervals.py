"""Input intervals within which every check of a length passes.

A repeated call need not evaluate its checks: it compares its integer inputs with bounds computed once. A length that
rises with one input, as ``n + 1`` or ``minimum(n, 10)`` do, is inverted by bisection; any other has no interval.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Container, Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from loopjax.ir.graph import Apply, Constant, Graph, Variable
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
            elif span or not _same(rows, check.n_steps):
                return None
        found.append(LengthBounds(check.n_steps, check.least, most))
    return found


def input_intervals(bounds: Iterable[LengthBounds], inputs: Sequence[Variable]) -> tuple[InputInterval, ...] | None:
    """Return intervals of inputs within which lengths keep their bounds; ``None`` where a length does not rise with
    one input."""
    positions = {variable: position for position, variable in enumerate(inputs)}
    found: dict[int, InputInterval] = {}
    for checked in bounds:
        bound = checked._replace(length=_unchecked(checked.length))
        leaf = _rises_with(bound.length, positions)
        if leaf is None:
            return None
        position = positions[leaf]
        before = found.get(position, InputInterval(position, -(2**63), 2**63))
        least, most = _inverse(leaf, bound)
        found[position] = InputInterval(position, max(before.least, least), min(before.most, most))
    return tuple(found.values())


FARTHEST = {"int64": 2**40, "int32": 2**30}
"""The greatest value of an input from which a trip count is computed: far from where its dtype ends."""

LARGEST_TERM = {"int64": 2**40, "int32": 2**20}
"""The greatest number that may be added to it on the way, so that nothing wraps around."""


def _rises_with(length: Variable, inputs: Container[Variable]) -> Variable | None:
    """Return the only input that a length is computed from, where the length never falls while that rises."""
    while length not in inputs:
        operand = None if length.owner is None else _rising_operand(length.owner)
        if operand is None:
            return None
        length = operand
    return length if length.type.is_integer and length.ndim == 0 else None


def _rising_operand(node: Apply) -> Variable | None:
    """Return the only variable input of a node, where its output rises with it. Narrow integers could wrap around."""
    if node.op.named("cast") and node.outputs[0].dtype == "int64" and node.inputs[0].type.is_integer:
        return node.inputs[0]
    numbers = [abs(int(one.data)) for one in node.inputs if isinstance(one, Constant) and one.ndim == 0]
    variables = [one for one in node.inputs if not isinstance(one, Constant)]
    if not node.op.named("add", "sub", "maximum", "minimum") or (len(numbers), len(variables)) != (1, 1):
        return None
    if node.op.named("add", "sub") and numbers[0] > LARGEST_TERM.get(node.outputs[0].dtype, -1):
        return None
    return None if node.op.named("sub") and variables[0] is not node.inputs[0] else variables[0]


def _same(one: Variable, other: Variable) -> bool:
    """Test if two lengths are the same expression of the same variables, apart from checks of them."""
    # Variables without an owner are free in these graphs: they are equal by identity.
    return Graph((), [_unchecked(one)]) == Graph((), [_unchecked(other)])


def _unchecked(length: Variable) -> Variable:
    """Return a length without the checks on the way to it, which need more than its value."""

    def transform(node: Apply, inputs: tuple[Variable, ...]) -> Sequence[Variable] | None:
        return inputs[:1] if node.op.named("trip_count") else None

    return Graph((), [length]).rebuilt(transform=transform).outputs[0]


def _inverse(leaf: Variable, bound: LengthBounds) -> tuple[int, int]:
    """Return the least and the greatest value of an input for which a length that rises with it keeps its bounds."""
    if bound.length is leaf:
        return bound.least, bound.most

    def length(x: int) -> int:
        (value,) = host_values([bound.length], {leaf: np.asarray(x, leaf.dtype)}, {})
        assert value is not None
        return int(value)

    info = np.iinfo(leaf.dtype)
    far = FARTHEST.get(leaf.dtype, int(info.max))
    domain = range(max(int(info.min), -far), min(int(info.max), far) + 1)
    first = bisect_left(domain, bound.least, key=length)
    last = bisect_right(domain, bound.most, key=length) - 1
    return domain.start + first, domain.start + last
