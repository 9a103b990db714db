"""Trip counts that no shape depends on are checked before a call runs: one program serves them all."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from loopjax.errors import where
from loopjax.trace.graph import Apply, Constant, Graph, Variable
from loopjax.trace.lengths import host_values, leaves_of
from loopjax.trace.loop import MOST_STEPS, Scan
from loopjax.trace.op import Call


class Check(NamedTuple):
    """A trip count, the least it may be, whose it is, and where.

    ``rows``: the lengths of the sequences that so many steps would read, each with what ``needs`` says of it: its name,
    and how many rows more than steps it must have. Or the trip counts of all examples, a vector; a last one of ``rows``
    of which ``needs`` says nothing is then the most that they may be.
    """

    n_steps: Variable
    least: int
    scan: str
    place: str
    rows: tuple[Variable, ...] = ()
    needs: tuple[tuple[str, int], ...] = ()


class Checks(NamedTuple):
    """All checks of a stage, and the inputs whose values they need."""

    each: tuple[Check, ...]
    leaves: tuple[Variable, ...]


class Range(NamedTuple):
    """The values that an input may have, by its position."""

    place: int
    least: int
    most: int


def checks(graph: Graph) -> Checks:
    """What must hold of the trip counts of a stage's loops, of those that the host can compute."""
    found = [check for node in graph.applies for check in _checks(node, graph)]
    known = [check for check in found if not leaves_of([check.n_steps], graph.inputs).opaque]
    leaves = leaves_of([v for check in known for v in (check.n_steps, *check.rows)], graph.inputs)
    return Checks(tuple(known), tuple(v for v in graph.inputs if v in leaves.values))


def _checks(node: Apply, graph: Graph) -> Iterator[Check]:
    op = node.op
    if isinstance(op, Call) and op.row == "trip_count":
        n_steps, *rows = node.inputs
        yield Check(n_steps, 0, op.arguments["scan"], where(node.sources), tuple(rows), op.arguments["needs"])
    if isinstance(op, Call) and op.row == "example_lengths":
        lengths, *rows = node.inputs
        yield Check(lengths, 0, op.arguments["scan"], where(node.sources), tuple(rows), op.arguments["needs"])
    if not isinstance(op, Scan) or not op.dynamic:
        return
    yield Check(node.inputs[0], 0, op.label, where(node.sources))
    # How many rows of the outputs of a bounded loop count is known to what reads them.
    for output, stack in () if op.bounded else zip(op.outputs, node.outputs, strict=False):
        lines = [line for reader in graph.readers.get(stack, []) for line in reader.sources]
        if output.keep.last:
            yield Check(node.inputs[0], output.keep.last, op.label, where(lines))
    for fold in op.folds:
        if fold.some:
            yield Check(node.inputs[0], 1, op.label, where(node.sources))
        if fold.kind == "at":
            yield Check(node.inputs[0], fold.step + 1, op.label, where(node.sources))


def check(checks: Checks, values: Mapping[Variable, Any]) -> None:
    """Raises ``ValueError`` for a trip count that is negative or needs more rows than there are, ``IndexError`` for one
    too small for what is read. What JAX traces is not known and not checked."""
    shapes = {variable: array.shape for variable, array in values.items()}
    concrete = [leaf for leaf in checks.leaves if not isinstance(values[leaf], jax.core.Tracer)]
    known = {leaf: np.asarray(values[leaf]) for leaf in concrete}
    found = host_values([one.n_steps for one in checks.each], known, shapes)
    for one, counts in zip(checks.each, found, strict=True):
        if counts is not None:
            for what, count in _extremes(one, counts):
                _check(one, what, count, host_values(one.rows, known, shapes))


def _extremes(one: Check, counts: Any) -> list[tuple[str, int]]:
    """The trip count with its name; of several the least and the greatest."""
    if counts.ndim == 0:
        return [("n_steps", int(counts))]
    if not counts.size:
        raise ValueError(f"scan {one.scan!r}: lengths is empty; it has an element for each example{one.place}")
    return [(f"lengths[{at}]", int(counts[at])) for at in (int(np.argmin(counts)), int(np.argmax(counts)))]


def _check(one: Check, what: str, count: int, rows: Sequence[Any | None]) -> None:
    if count < 0:
        raise ValueError(f"scan {one.scan!r}: {what} is negative: {count}{one.place}")
    if count > MOST_STEPS:
        raise ValueError(f"scan {one.scan!r}: {what} is {count}, more than {MOST_STEPS}{one.place}")
    if count < one.least:
        raise IndexError(f"scan {one.scan!r} ran {count} steps; what is read needs {one.least}{one.place}")
    for (name, span), size in zip(one.needs, rows, strict=False):
        if size is not None and count > max(int(size) - span, 0):
            steps = f"{count} steps" if what == "n_steps" else f"{what}, {count} steps,"
            raise ValueError(
                f"scan {one.scan!r}: sequence {name!r} has {int(size)} rows; {steps} need {count + span}{one.place}"
            )
    for most in rows[len(one.needs) :]:
        if most is not None and count > int(most):
            raise ValueError(f"scan {one.scan!r}: {what} is {count}, more than n_steps, {int(most)}{one.place}")


class Bounds(NamedTuple):
    """What a length must not leave."""

    length: Variable
    least: int
    most: int


def bounds(checks: Checks, shapes: Mapping[Variable, Sequence[int]]) -> list[Bounds] | None:
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
        found.append(Bounds(one.n_steps, one.least, min(limits)))
    return found


def ranges(bounds: Iterable[Bounds], inputs: Sequence[Variable]) -> tuple[Range, ...] | None:
    """What inputs must not leave, by their places, so that lengths do not; ``None`` where a length is computed from
    more than one of them, or may fall where it rises."""
    places = {variable: place for place, variable in enumerate(inputs)}
    found: dict[int, Range] = {}
    for one in bounds:
        leaf = _rises_with(one.length, places)
        if leaf is None:
            return None
        place = places[leaf]
        before = found.get(place, Range(place, -FARTHEST, FARTHEST))
        least, most = _between(leaf, one)
        found[place] = Range(place, max(before.least, least), min(before.most, most))
    return tuple(found.values())


FARTHEST = 2**40
"""The greatest value that an input may have where a trip count is computed from it: far from where int64 ends."""


def _rises_with(length: Variable, places: Container[Variable]) -> Variable | None:
    """The one input that a length is computed from, where it never falls while that rises."""
    while length not in places:
        node = length.owner
        if node is None or not isinstance(node.op, Call):
            return None
        free = [variable for variable in node.inputs if not isinstance(variable, Constant)]
        row, first = node.op.row, node.inputs[0]
        if row == "trip_count" or (row == "cast" and length.dtype == "int64" and first.type.is_integer):
            length = first
        elif row in ("add", "maximum", "minimum") and len(free) == 1:
            length = free[0]
        elif row == "sub" and free == [first]:
            length = first
        else:
            return None
    return length if length.type.is_integer and length.ndim == 0 else None


def _same(one: Variable, other: Variable) -> bool:
    """Whether two lengths are computed alike from the same, but for checks of them."""
    one, other = _unchecked(one), _unchecked(other)
    if one is other:
        return True
    if isinstance(one, Constant) and isinstance(other, Constant):
        return one.dtype == other.dtype and bool(np.array_equal(one.data, other.data))
    a, b = one.owner, other.owner
    if a is None or b is None or a.op != b.op or len(a.inputs) != len(b.inputs):
        return False
    return all(map(_same, a.inputs, b.inputs))


def _unchecked(length: Variable) -> Variable:
    node = length.owner
    while node is not None and isinstance(node.op, Call) and node.op.row == "trip_count":
        length = node.inputs[0]
        node = length.owner
    return length


def _between(leaf: Variable, bounds: Bounds) -> tuple[int, int]:
    """The least and the greatest value of an input for which a length that rises with it is within its bounds."""
    if bounds.length is leaf:
        return bounds.least, bounds.most

    def value(x: int) -> int:
        (found,) = host_values([bounds.length], {leaf: np.asarray(x, leaf.dtype)}, {})
        assert found is not None
        return int(found)

    info = np.iinfo(leaf.dtype)
    domain = range(max(int(info.min), -FARTHEST), min(int(info.max), FARTHEST) + 1)
    first = bisect_left(domain, bounds.least, key=value)
    last = bisect_right(domain, bounds.most, key=value) - 1
    return domain.start + first, domain.start + last
