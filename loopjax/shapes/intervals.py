"""Between which values of an input no length that is computed from it needs a further look."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Container, Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from loopjax.ir.graph import Apply, Constant, Variable
from loopjax.ir.lengths import host_values
from loopjax.ir.op import TableOp
from loopjax.ir.scan import MOST_STEPS
from loopjax.shapes.preconditions import TripCountChecks


class InputInterval(NamedTuple):
    """The values that an input may have, by its position."""

    position: int
    least: int
    most: int


class LengthBounds(NamedTuple):
    """What a length must not leave."""

    length: Variable
    least: int
    most: int


def trip_count_bounds(checks: TripCountChecks, shapes: Mapping[Variable, Sequence[int]]) -> list[LengthBounds] | None:
    """The checks as bounds for inputs of these shapes; ``None`` where one is of more than a length and shapes."""
    found = []
    for one in checks.each:
        if one.n_steps.ndim:
            return None
        limits = [MOST_STEPS]
        for (_, span), rows, size in zip(one.needs, one.rows, host_values(one.rows, {}, shapes), strict=True):
            if size is not None:
                limits.append(max(int(size) - span, 0))
            elif span or not _same(rows, one.n_steps):
                return None
        found.append(LengthBounds(one.n_steps, one.least, min(limits)))
    return found


def input_intervals(bounds: Iterable[LengthBounds], inputs: Sequence[Variable]) -> tuple[InputInterval, ...] | None:
    """What inputs must not leave, by their places, so that lengths do not; ``None`` where a length is computed from
    more than one of them, or may fall where it rises."""
    places = {variable: place for place, variable in enumerate(inputs)}
    found: dict[int, InputInterval] = {}
    for one in bounds:
        leaf = _rises_with(one.length, places)
        if leaf is None:
            return None
        place = places[leaf]
        before = found.get(place, InputInterval(place, -(2**63), 2**63))
        least, most = _between(leaf, one)
        found[place] = InputInterval(place, max(before.least, least), min(before.most, most))
    return tuple(found.values())


FARTHEST = {"int64": 2**40, "int32": 2**30}
"""The greatest value that an input may have where a trip count is computed from it: far from where its dtype ends."""

LARGEST_TERM = {"int64": 2**40, "int32": 2**20}
"""The greatest number that may be added to it on the way, so that nothing wraps around."""


def _rises_with(length: Variable, places: Container[Variable]) -> Variable | None:
    """The one input that a length is computed from, where it never falls while that rises."""
    while length not in places:
        before = None if length.owner is None else _before(length.owner)
        if before is None:
            return None
        length = before
    return length if length.type.is_integer and length.ndim == 0 else None


def _before(node: Apply) -> Variable | None:
    """The input of a node with which its output rises; ``None`` where there are several, or it may fall. Integers that
    are narrow could wrap around."""
    if not isinstance(node.op, TableOp):
        return None
    row, first = node.op.row, node.inputs[0]
    if row == "trip_count" or (row == "cast" and node.outputs[0].dtype == "int64" and first.type.is_integer):
        return first
    numbers = [abs(int(one.data)) for one in node.inputs if isinstance(one, Constant) and one.ndim == 0]
    free = [one for one in node.inputs if not isinstance(one, Constant)]
    if row not in ("add", "sub", "maximum", "minimum") or (len(numbers), len(free)) != (1, 1):
        return None
    if row in ("add", "sub") and numbers[0] > LARGEST_TERM.get(node.outputs[0].dtype, -1):
        return None
    return None if row == "sub" and free[0] is not first else free[0]


def _same(one: Variable, other: Variable) -> bool:
    """Whether two lengths are computed alike from the same, but for checks of them."""
    pairs, seen = [(one, other)], set[tuple[Variable, Variable]]()
    while pairs:
        a, b = map(_unchecked, pairs.pop())
        if a is b or (a, b) in seen:
            continue
        seen.add((a, b))
        if isinstance(a, Constant) and isinstance(b, Constant):
            if a.dtype != b.dtype or not np.array_equal(a.data, b.data):
                return False
            continue
        if a.owner is None or b.owner is None or a.owner.op != b.owner.op or a.index != b.index:
            return False
        pairs.extend(zip(a.owner.inputs, b.owner.inputs, strict=True))
    return True


def _unchecked(length: Variable) -> Variable:
    node = length.owner
    while node is not None and isinstance(node.op, TableOp) and node.op.row == "trip_count":
        length = node.inputs[0]
        node = length.owner
    return length


def _between(leaf: Variable, bounds: LengthBounds) -> tuple[int, int]:
    """The least and the greatest value of an input for which a length that rises with it is within its bounds."""
    if bounds.length is leaf:
        return bounds.least, bounds.most

    def value(x: int) -> int:
        (found,) = host_values([bounds.length], {leaf: np.asarray(x, leaf.dtype)}, {})
        assert found is not None
        return int(found)

    info = np.iinfo(leaf.dtype)
    far = FARTHEST.get(leaf.dtype, int(info.max))
    domain = range(max(int(info.min), -far), min(int(info.max), far) + 1)
    first = bisect_left(domain, bounds.least, key=value)
    last = bisect_right(domain, bounds.most, key=value) - 1
    return domain.start + first, domain.start + last
