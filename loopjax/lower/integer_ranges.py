"""Interval analysis of integers: tests if a planned program computes the same in 32 bits as in 64.

Positions, lengths and counts are int64 by convention. Where JAX's x64 is off, a program that needs 32 bits only is
plain JAX, whose integers are int32 then; any other is one opaque primitive (``lower/x64_primitive.py``). The analysis
(Moore 1966; Cousot and Cousot 1977) bounds every int64 value of a program whose shapes are known. A loop's state is
bounded by induction: by what a step adds to it, times the steps, or by what every step bounds it by. So ``i + 1`` over
100 steps from 0 is at most 100, and ``(3 * i) % 7`` is at most 6.

Limits: what a float is cast to has no bounds, nor has the result of an op without a rule here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import chain
from typing import NamedTuple

import numpy as np

from loopjax.ir.autodiff import Differentiated
from loopjax.ir.capacities import capacity
from loopjax.ir.cond import IfElse
from loopjax.ir.dim import Bounds, Dim, Element, Interval
from loopjax.ir.graph import Apply, Constant, Graph, Variable
from loopjax.ir.scan import MOST_STEPS, BodyInputs, Scan
from loopjax.ir.types import NARROW
from loopjax.ir.weight_gradients import BatchedWeightGradients

ROUNDS = 4
"""Evaluations of a loop's body after which a state that still grows is taken to need 64 bits."""


class Range(NamedTuple):
    """The integers from ``least`` to ``greatest``."""

    least: int
    greatest: int

    def joined(self, *others: Range) -> Range:
        """Return the least range with this one and others in it."""
        return Range(min(self.least, *(x.least for x in others)), max(self.greatest, *(x.greatest for x in others)))

    def within(self, other: Range) -> bool:
        """Test if all numbers are in another range."""
        return other.least <= self.least and self.greatest <= other.greatest


Ranges = Sequence[Range | None]
"""A range for each integer value, ``None`` for others and for those that nothing bounds."""

INT32 = Range(-MOST_STEPS, MOST_STEPS)

COUNTS = Range(-MOST_STEPS + 2**16, MOST_STEPS - 2**16)
"""The integers that an int64 input is taken to be where it comes as int32: a program may count on from them."""

NOTHING = Range(0, 0)


class NeedsX64(Exception):
    """A value of a program needs 64 bits."""


def fits_32_bits(graph: Graph) -> bool:
    """Test if all 64-bit values of a planned program, whose inputs come in 32 bits, are integers that fit into 32."""
    try:
        _values(graph, [COUNTS] * len(graph.inputs))
    except NeedsX64:
        return False
    return True


def _values(graph: Graph, inputs: Ranges) -> dict[Variable, Range | None]:
    """Return the ranges of all values of a graph; raise ``NeedsX64`` for one that 32 bits do not hold."""
    found = {variable: _checked(variable, one) for variable, one in zip(graph.inputs, inputs, strict=True)}
    for node in graph.applies:
        results = _results(node, [_read(variable, found) for variable in node.inputs])
        found.update((variable, _checked(variable, one)) for variable, one in zip(node.outputs, results, strict=True))
    return found


def _outputs(graph: Graph, inputs: Ranges) -> list[Range | None]:
    found = _values(graph, inputs)
    return [_read(variable, found) for variable in graph.outputs]


def _read(variable: Variable, found: dict[Variable, Range | None]) -> Range | None:
    if not isinstance(variable, Constant):
        return found[variable]
    if not variable.type.is_integer or not variable.data.size:
        return NOTHING if variable.type.is_integer else _checked(variable, None) if variable.dtype == "bool" else None
    return _checked(variable, Range(int(variable.data.min()), int(variable.data.max())))


def _checked(variable: Variable, found: Range | None) -> Range | None:
    """Return the range of a value, that of its dtype where it may wrap around."""
    if variable.dtype == "int64" and found is not None and found.within(INT32):
        return found
    if variable.dtype in NARROW:
        raise NeedsX64
    if variable.dtype == "bool":
        return Range(0, 1)
    if not variable.type.is_integer:
        return None
    limits = np.iinfo(variable.dtype)
    whole = Range(int(limits.min), int(limits.max))
    return found if found is not None and found.within(whole) else whole


def _results(node: Apply, inputs: Ranges) -> Ranges:
    op = node.op
    if isinstance(op, Scan):
        return _of_loop(op, inputs)
    if isinstance(op, IfElse):
        branches = zip(*(_outputs(region, inputs[1:]) for region in op.regions), strict=True)
        return [None if x is None or y is None else x.joined(y) for x, y in branches]
    if isinstance(op, (Differentiated, BatchedWeightGradients)):
        primals = op.primals if isinstance(op, Differentiated) else op.region.inputs
        given = dict(zip(primals, inputs, strict=False))
        found = _outputs(op.region, [given.get(variable) for variable in op.region.inputs])
        return [*found, *[None] * len(node.outputs)][: len(node.outputs)]
    if op.has("x64"):
        raise NeedsX64
    return [_of_op(node, inputs)] * len(node.outputs)


def _of_op(node: Apply, inputs: Ranges) -> Range | None:
    op, name = node.op, node.op.name
    if name in POSITIONS:
        return Range(0, max(math.prod(variable.type.sizes) for variable in node.inputs))
    if name in ("sign", "draw_bernoulli"):
        return Range(-1, 1)
    if name == "arange":
        start, stop, _ = op.arguments["lengths"]
        whole = isinstance(start, int) and isinstance(stop, int)
        return Range(min(start, stop), max(start, stop)) if whole else None
    operands = [x for x, variable in zip(inputs, node.inputs, strict=True) if variable.type.is_integer or x is not None]
    known = [x for x in operands if x is not None]
    if not known or len(known) < len(operands):
        return None
    if op.has("selection"):
        return known[0]
    if name in MOVES:
        return NOTHING.joined(*known)
    if name in ("sum", "cumsum", "inc"):
        terms, count = known[name == "inc"], math.prod(node.inputs[name == "inc"].type.sizes)
        total = Range(min(terms.least, 0) * count, max(terms.greatest, 0) * count)
        return _added(known[0], total) if name == "inc" else total
    if name == "capacity":
        return Range(0, int(capacity(max(known[0].greatest, 0), op.arguments["fine"], np)))
    rule = ARITHMETIC.get(name)
    return None if rule is None else rule(*known)


def _corners(function: Callable[[int, int], int]) -> Callable[[Range, Range], Range]:
    """Return the range of a function that is monotone in each argument."""

    def of_ranges(x: Range, y: Range) -> Range:
        values = [function(a, b) for a in x for b in y]
        return Range(min(values), max(values))

    return of_ranges


_added = _corners(int.__add__)

POSITIONS = (
    "argmax",
    "argmin",
    "argsort",
    "nonzero",
    "true_places",
    "searchsorted",
    "dim",
    "shape",
    "draw_categorical",
)
"""Ops that give positions in an operand or its sizes."""

MOVES = (
    *("join", "set", "put_window", "mask_rows", "roll", "repeat", "tile", "diag", "diagonal", "tril", "triu", "sort"),
    *("halo", "second", "no_change", "disconnected_grad", "zero_grad", "perturb", "parts", "max", "min", "of_batch"),
    *("trip_count", "example_lengths", "switch", "cast", "draw_permutation"),
)
"""Ops whose results are 0 or elements of an operand."""

ARITHMETIC: dict[str, Callable[..., Range | None]] = {
    "add": _added,
    "sub": _corners(int.__sub__),
    "mul": _corners(int.__mul__),
    "minimum": _corners(min),
    "maximum": _corners(max),
    "clip_between": lambda x, low, high: _corners(min)(_corners(max)(x, low), high),
    "neg": lambda x: Range(-x.greatest, -x.least),
    "abs": lambda x: Range(0, max(-x.least, x.greatest)),
    "sqr": lambda x: Range(0, max(-x.least, x.greatest) ** 2),
    "draw_binomial": lambda n: Range(-1, max(n.greatest, 0)),
    "mod": lambda x, y: Range(min(y.least + 1, 0), max(y.greatest - 1, 0)),
    "floor_div": lambda x, y: _corners(int.__floordiv__)(x, y) if y.least > 0 else None,
    "steps_of_pairs": lambda lengths, most: Range(0, 2 * max(lengths.greatest, 0) + max(most.greatest, 1)),
}
"""Ops of the table as operations on ranges."""


def _of_loop(op: Scan, inputs: Ranges) -> Ranges:
    """Return the ranges of a loop's outputs, by induction over its steps."""
    parts = op.inputs(inputs)
    n_steps = MOST_STEPS if op.n_steps is None else op.n_steps
    if op.dynamic and parts.n_steps[0] is not None:
        n_steps = min(n_steps, max(parts.n_steps[0].greatest, 0))
    samples: Ranges = ()
    if op.samples is not None:
        samples = _outputs(op.samples.draws, [*parts.keys, *parts.non_sequences])
    read, after = op.body_inputs(op.body.inputs), op.results(op.body.outputs)
    before = [*chain.from_iterable(group[:1] for group in read.taps), *read.states]
    counted = [spec.taps == (-1,) for spec in op.recurrences] + [True] * op.n_states
    first = [_checked(x, found) for x, found in zip(before, [*parts.initials, *parts.states], strict=True)]
    assumed = [found if x.dtype == "int64" else _checked(x, None) for x, found in zip(before, first, strict=True)]
    for _ in range(ROUNDS):
        given = BodyInputs(
            tuple((found,) * len(spec.taps) for spec, found in zip(op.sequences, parts.sequences, strict=True)),
            tuple((found,) * len(spec.taps) for spec, found in zip(op.recurrences, assumed, strict=False)),
            tuple(assumed[len(op.recurrences) :]),
            parts.keys,
            parts.non_sequences,
            tuple(samples),
        )
        values = _values(op.body, given.flat())
        step = op.results([_read(variable, values) for variable in op.body.outputs])
        grown = list(assumed)
        for i, (old, new) in enumerate(zip(assumed, [*step.recurrences, *step.states], strict=True)):
            if old is None or new is None or new.within(old):
                continue
            change = _change(before[i], [*after.recurrences, *after.states][i], values) if counted[i] else None
            begin, (low, high) = first[i], new
            if change is not None and begin is not None:
                low = low if low >= old.least else begin.least + min(change.least, 0) * n_steps
                high = high if high <= old.greatest else begin.greatest + max(change.greatest, 0) * n_steps
            grown[i] = old.joined(Range(low, high))
        if grown == assumed:
            stacks = [None if x is None else NOTHING.joined(x) for x in (*assumed[: len(op.recurrences)], *step.maps)]
            counts = [Range(0, n_steps)] if op.until else []
            reductions = [_accumulated(spec.kind, stacks[spec.output], n_steps) for spec in op.accumulators]
            return [*stacks, *assumed[len(op.recurrences) :], *reductions, *counts]
        assumed = grown
    raise NeedsX64


def _change(before: Variable, after: Variable, values: dict[Variable, Range | None]) -> Range | None:
    """Return the range of what a step adds to a state, where it has bounds."""
    if after.owner is not None and after.owner.op.named("switch"):
        first, second = (_change(before, one, values) for one in after.owner.inputs[1:])
        return None if first is None or second is None else first.joined(second)

    def bounds(leaf: Variable | Element) -> Bounds:
        found = values.get(leaf) if isinstance(leaf, Variable) else None
        return Bounds(None, None) if found is None else Bounds(Dim.of(found.least), Dim.of(found.greatest))

    interval = Interval(bounds, lambda dim: dim.number is not None and dim.number >= 0)
    least, greatest = interval.bounds(Dim.of(after) - Dim.of(before))
    if least is None or greatest is None or least.number is None or greatest.number is None:
        return None
    return Range(least.number, greatest.number)


def _accumulated(kind: str, steps: Range | None, n_steps: int) -> Range | None:
    if kind in ("argmax", "argmin"):
        return Range(0, n_steps)
    if steps is None or kind in ("max", "min", "at"):
        return steps
    return Range(steps.least * n_steps, steps.greatest * n_steps) if kind == "sum" else None
