"""Preconditions of a call: relations of lengths and trip counts that no shape depends on.

One compiled program serves many lengths, so that compiling it does not check them. What the host can compute from the
arguments is checked before a call; what only a run can tell is a truth value among the program's outputs, a runtime
assertion, and is checked before the call commits its state.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from jax import core

from loopjax.errors import coded, where
from loopjax.ir.graph import Apply, Graph, Variable
from loopjax.ir.lengths import host_values, leaves_of, scalar
from loopjax.ir.scan import Scan, wrong_count

LENGTH, OTHER = "<length>", "<other>"
"""Placeholders in messages for two lengths that are compared."""


def failure(message: str, code: str) -> Exception:
    """The exception where a relation does not hold: ``IndexError`` for an index out of bounds, or ``ValueError``."""
    return coded(IndexError if code == "LJ206" else ValueError, code)(message)


class RuntimeAssertion(NamedTuple):
    """A relation of two lengths that only a run can tell: ``holds`` is a bool scalar."""

    holds: Variable
    message: str
    code: str = "LJ501"

    @property
    def failure(self) -> Exception:
        """The exception where it does not hold."""
        return failure(self.message, self.code)


class Precondition(NamedTuple):
    """A relation of two lengths (``==``, ``>=`` or ``<=``) that is checked before a call, since its arguments tell.

    ``code`` is that of the error; ``where`` is the user's line.
    """

    length: Variable
    other: Variable
    relation: str
    code: str
    message: str
    where: str

    def verify(self, length: int, other: int) -> None:
        """Raise ``IndexError`` or ``ValueError`` where it does not hold."""
        if {"==": length == other, ">=": length >= other, "<=": length <= other}[self.relation]:
            return
        message = self.message
        if LENGTH not in message:
            message = f"{message}: {LENGTH} {self.relation} {OTHER} does not hold"
        raise failure(message.replace(LENGTH, str(length)).replace(OTHER, str(other)) + self.where, self.code)


class TripCountCheck(NamedTuple):
    """A check of a loop's trip count, a scalar, or of the steps of all examples of a batch, a vector.

    It is at least ``least`` and at most ``MOST_STEPS``. ``sequences``: each sequence that the steps read, by its name,
    its length, and how many rows more than steps it must have. ``limit``: the most steps, if any.
    """

    n_steps: Variable
    least: int
    scan: str
    where: str
    sequences: tuple[tuple[str, Variable, int], ...] = ()
    limit: Variable | None = None

    @property
    def lengths(self) -> list[Variable]:
        """All lengths that it compares."""
        lengths = [self.n_steps, *(length for _, length, _ in self.sequences)]
        return lengths if self.limit is None else [*lengths, self.limit]

    def verify(self, name: str, count: int, lengths: Sequence[Any | None] = ()) -> None:
        """Raise ``ValueError`` or ``IndexError`` for a trip count called ``name``; unknown ``lengths`` are ``None``."""
        if wrong := wrong_count(name, count):
            raise coded(ValueError, "LJ901")(f"scan {self.scan!r}: {wrong}{self.where}")
        if count < self.least:
            raise coded(IndexError, "LJ206")(
                f"scan {self.scan!r} ran {count} steps; what is read needs {self.least}{self.where}"
            )
        for (sequence, _, span), rows in zip(self.sequences, lengths, strict=False):
            if rows is not None and count > core.max_dim(scalar(rows) - span, 0):
                steps = f"{count} steps" if name == "n_steps" else f"{name}, {count} steps,"
                raise coded(ValueError, "LJ111")(
                    f"scan {self.scan!r}: sequence {sequence!r} has {rows} rows; {steps} need "
                    f"{count + span}{self.where}"
                )
        limit = lengths[-1] if self.limit is not None else None
        if limit is not None and count > int(limit):
            raise coded(ValueError, "LJ118")(
                f"scan {self.scan!r}: {name} is {count}, more than n_steps, {int(limit)}{self.where}"
            )


class TripCountChecks(NamedTuple):
    """The checks of a stage, and the inputs whose values they need."""

    each: tuple[TripCountCheck, ...]
    leaves: tuple[Variable, ...]


def trip_count_checks(graph: Graph) -> TripCountChecks:
    """Collect the checks of a stage's trip counts that the host can do."""
    checks = [check for node in graph.applies for check in _checks_of(node, graph)]
    checks = [check for check in checks if not leaves_of([check.n_steps], graph.inputs).opaque]
    leaves = leaves_of([length for check in checks for length in check.lengths], graph.inputs)
    return TripCountChecks(tuple(checks), tuple(v for v in graph.inputs if v in leaves.values))


def _checks_of(node: Apply, graph: Graph) -> Iterator[TripCountCheck]:
    op, lines = node.op, where(node.sources)
    if op.named("trip_count", "example_lengths"):
        needs, (n_steps, *rows) = op.arguments["needs"], node.inputs
        sequences = tuple((name, length, span) for (name, span), length in zip(needs, rows, strict=False))
        limit = rows[len(needs)] if len(rows) > len(needs) else None
        yield TripCountCheck(n_steps, 0, op.arguments["scan"], lines, sequences, limit)
    if not isinstance(op, Scan) or not op.dynamic:
        return
    n_steps = node.inputs[0]
    yield TripCountCheck(n_steps, 0, op.label, lines)
    # The readers of a bounded loop's outputs know how many of their rows are valid.
    for output, stack in () if op.bounded else zip(op.outputs, node.outputs, strict=False):
        if output.saved.last:
            readers = [line for reader in graph.readers.get(stack, []) for line in reader.sources]
            yield TripCountCheck(n_steps, output.saved.last, op.label, where(readers))
    for fold in op.accumulators:
        if fold.some or fold.kind == "at":
            yield TripCountCheck(n_steps, fold.step + 1 if fold.kind == "at" else 1, op.label, lines)


def check_trip_counts(checks: TripCountChecks, values: Mapping[Variable, Any]) -> None:
    """Raise for trip counts that do not fit the inputs ``values``. What JAX traces is not checked.

    Raises
    ------
    ValueError
        For a trip count that is negative, too great, or more than sequences have rows for.
    IndexError
        For one that is less than what is read of the loop needs.
    """
    shapes = {variable: array.shape for variable, array in values.items()}
    known = {leaf: np.asarray(values[leaf]) for leaf in checks.leaves if not isinstance(values[leaf], jax.core.Tracer)}
    for check in checks.each:
        n_steps, *lengths = host_values(check.lengths, known, shapes)
        for name, count in () if n_steps is None else _extremes(check, n_steps):
            check.verify(name, count, lengths)


def _extremes(check: TripCountCheck, n_steps: Any) -> list[tuple[str, int]]:
    """Return the trip count with its name; of a vector the least and the greatest."""
    if n_steps.ndim == 0:
        return [("n_steps", scalar(n_steps))]
    if not n_steps.size:
        raise coded(ValueError, "LJ118")(
            f"scan {check.scan!r}: lengths is empty; it has an element for each example{check.where}"
        )
    return [(f"lengths[{at}]", int(n_steps[at])) for at in (int(np.argmin(n_steps)), int(np.argmax(n_steps)))]
