"""Trip counts that no shape depends on are checked before a call runs: one program serves them all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from loopjax.errors import where
from loopjax.ir.graph import Apply, Graph, Variable
from loopjax.ir.lengths import host_values, leaves_of
from loopjax.ir.op import TableOp
from loopjax.ir.scan import MOST_STEPS, Scan

UNBOUNDED = 2**62
"""Greater than any length."""

LENGTH, OTHER = "<length>", "<other>"
"""Placeholders in messages for two lengths that are compared."""


class RuntimeAssertion(NamedTuple):
    """A relation of two lengths that only a run can tell: ``holds`` is a bool scalar."""

    holds: Variable
    message: str


class Precondition(NamedTuple):
    """A relation of two lengths (``==``, ``>=`` or ``<=``) that is checked before a call, since its arguments tell.

    ``error`` is ``index`` or ``value``; ``where`` is the user's line.
    """

    length: Variable
    other: Variable
    relation: str
    error: str
    message: str
    where: str

    def bounds(self, other: int) -> tuple[int, int]:
        """The least and the greatest length that this admits."""
        return (
            -UNBOUNDED if self.relation == "<=" else other,
            UNBOUNDED if self.relation == ">=" else other,
        )

    def verify(self, length: int, other: int) -> None:
        """Raises ``IndexError`` or ``ValueError`` where it does not hold."""
        if {"==": length == other, ">=": length >= other, "<=": length <= other}[self.relation]:
            return
        kind = IndexError if self.error == "index" else ValueError
        message = self.message
        if LENGTH not in message:
            message = f"{message}: {LENGTH} {self.relation} {OTHER} does not hold"
        raise kind(message.replace(LENGTH, str(length)).replace(OTHER, str(other)) + self.where)


class TripCountCheck(NamedTuple):
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


class TripCountChecks(NamedTuple):
    """All checks of a stage, and the inputs whose values they need."""

    each: tuple[TripCountCheck, ...]
    leaves: tuple[Variable, ...]


def trip_count_checks(graph: Graph) -> TripCountChecks:
    """What must hold of the trip counts of a stage's loops, of those that the host can compute."""
    found = [check for node in graph.applies for check in _checks(node, graph)]
    known = [check for check in found if not leaves_of([check.n_steps], graph.inputs).opaque]
    leaves = leaves_of([v for check in known for v in (check.n_steps, *check.rows)], graph.inputs)
    return TripCountChecks(tuple(known), tuple(v for v in graph.inputs if v in leaves.values))


def _checks(node: Apply, graph: Graph) -> Iterator[TripCountCheck]:
    op = node.op
    if isinstance(op, TableOp) and op.row == "trip_count":
        n_steps, *rows = node.inputs
        yield TripCountCheck(n_steps, 0, op.arguments["scan"], where(node.sources), tuple(rows), op.arguments["needs"])
    if isinstance(op, TableOp) and op.row == "example_lengths":
        lengths, *rows = node.inputs
        yield TripCountCheck(lengths, 0, op.arguments["scan"], where(node.sources), tuple(rows), op.arguments["needs"])
    if not isinstance(op, Scan) or not op.dynamic:
        return
    yield TripCountCheck(node.inputs[0], 0, op.label, where(node.sources))
    # How many rows of the outputs of a bounded loop count is known to what reads them.
    for output, stack in () if op.bounded else zip(op.outputs, node.outputs, strict=False):
        lines = [line for reader in graph.readers.get(stack, []) for line in reader.sources]
        if output.saved.last:
            yield TripCountCheck(node.inputs[0], output.saved.last, op.label, where(lines))
    for fold in op.accumulators:
        if fold.some:
            yield TripCountCheck(node.inputs[0], 1, op.label, where(node.sources))
        if fold.kind == "at":
            yield TripCountCheck(node.inputs[0], fold.step + 1, op.label, where(node.sources))


def check_trip_counts(checks: TripCountChecks, values: Mapping[Variable, Any]) -> None:
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


def _extremes(one: TripCountCheck, counts: Any) -> list[tuple[str, int]]:
    """The trip count with its name; of several the least and the greatest."""
    if counts.ndim == 0:
        return [("n_steps", int(counts))]
    if not counts.size:
        raise ValueError(f"scan {one.scan!r}: lengths is empty; it has an element for each example{one.place}")
    return [(f"lengths[{at}]", int(counts[at])) for at in (int(np.argmin(counts)), int(np.argmax(counts)))]


def _check(one: TripCountCheck, what: str, count: int, rows: Sequence[Any | None]) -> None:
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
