"""Interval analysis of lengths that vary over the steps of a loop: bounds in loop-invariant terms.

The problem: an axis of ``k`` rows, where ``k`` is another number at every step, needs one capacity for all steps. A
scope sees its lengths as dims (``ir/dim.py``); interval arithmetic turns each into dims of the graph around the loop,
by the bounds of what differs from step to step: the elements of a range or of any other sequence, a counter in the
carry, a length with a capacity. For example in ``map(lambda k: arange(k).sum(), ks)`` the capacity of ``k`` is the
greatest element of ``ks``, and in ``map(lambda i: x[i : i + 3].sum(), arange(n))`` that of the slice is 3.

Limit: a length that the body computes from a state that nothing bounds.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping

import numpy as np

from loopjax.ir.dim import (
    ZERO,
    Bounds,
    Dim,
    Element,
    Interval,
    Kind,
    emitted,
    flat_operands,
    is_natural_number,
    maximum,
    of_element,
)
from loopjax.ir.graph import Constant, Op, Variable
from loopjax.ir.lengths import is_shape
from loopjax.shapes.padding.builder import GraphBuilder, Length

UNKNOWN = Bounds(None, None)


class BoundedLengths(GraphBuilder, ABC):
    """A graph, or a region in the graph of ``parent``, whose lengths have bounds.

    ``step_bounds`` are the bounds of inputs that differ from step to step, as dims of the parent's graph; ``positive``
    are lengths of that graph that are at least 1 whenever a step runs.
    """

    parent: BoundedLengths | None
    step_bounds: dict[Variable, Bounds]
    positive: set[Variable]

    @abstractmethod
    def lift(self, variable: Variable, by: type[Op] | None = None) -> Variable | None:
        """Return a variable of a region as one of the parent's graph, where it is the same throughout."""

    @abstractmethod
    def enter(self, outer: Variable) -> Variable:
        """Return a variable of the parent's graph as an input of this region."""

    @abstractmethod
    def rounded(self, length: Variable) -> Variable:
        """Return a length of the program rounded up, where it varies from call to call."""

    @abstractmethod
    def length_capacity(self, length: Variable) -> Variable | None:
        """Return the capacity of padded axes of this length; ``None`` where there is no such axis."""

    def of_dim(self, dim: Dim) -> Variable:
        """Return the value of a dim as an int64 scalar."""

        def choose(sign: Length, negative: Length, other: Length) -> Variable:
            return self.emit("switch", self.emit("lt", sign, 0), self.integer(negative), self.integer(other))

        def of_leaf(atom: Variable | Element) -> Variable:
            if isinstance(atom, Variable):
                return atom
            flat = self.emit("reshape", atom.array, lengths=(-1,))
            wide = flat if flat.dtype == "int64" else self.emit("cast", flat, dtype="int64")
            joined = self.emit("join", wide, Constant(np.zeros(1, "int64")), axis=0)
            kind = "max" if atom.kind == "maximum" else "min"
            return self.emit(kind, joined, axis=(0,), keepdims=False, dtype="int64")

        return self.integer(emitted(dim, self.calc, choose, of_leaf))

    def upper_bound(self, dim: Dim, by_elements: bool = True) -> Variable | None:
        """Return a loop-invariant upper bound of a dim, at least 0.

        Without ``by_elements``, ``None`` where the host would have to read an array for it.
        """
        if self.parent is None:
            of_leaf = self._of_array if by_elements else self._without_elements
            greatest = Interval(of_leaf, self.is_nonnegative).greatest(dim)
            return None if greatest is None else self.rounded(self.of_dim(maximum(greatest, ZERO)))
        around = self._around().greatest(dim)
        most = None if around is None else self.parent.upper_bound(around, by_elements)
        return None if most is None else self.enter(most)

    def invariant_length(self, length: Variable) -> Variable | None:
        """Return a loop-invariant length in the parent's graph, where its bounds coincide."""
        assert self.parent is not None
        least, greatest = self._around().bounds(Dim.of(length))
        if least is None or greatest is None or not self.parent.is_nonnegative(least - greatest):
            return None
        return self.parent.of_dim(least)

    def is_nonnegative(self, dim: Dim, positive: Collection[Variable] = ()) -> bool:
        """Test if a dim is known not to be negative, where some lengths are ``positive``."""
        if dim.number is not None:
            return dim.number >= 0

        def sign(leaf: Variable | Element) -> Bounds:
            return Bounds(Dim.of(1), None) if leaf in positive else self._sign(leaf)

        least = Interval(sign, is_natural_number).least(dim)
        if least is not None and is_natural_number(least):
            return True
        least = None if self.parent is None else self._around().least(dim)
        return least is not None and self._is_nonnegative_around(least)

    def _sign(self, leaf: Variable | Element) -> Bounds:
        if isinstance(leaf, Element):
            return Bounds(ZERO, None) if leaf.kind == "maximum" else UNKNOWN
        is_size = leaf.owner is not None and (is_shape(leaf.owner) or leaf.owner.op.named("capacity"))
        return Bounds(ZERO, None) if is_size or self.length_capacity(leaf) is not None else UNKNOWN

    def _around(self) -> Interval:
        """Return the arithmetic that bounds the dims of a region by those of the graph around it."""
        return Interval(self._bounds, self._is_nonnegative_around)

    def _is_nonnegative_around(self, dim: Dim) -> bool:
        return self.parent is not None and self.parent.is_nonnegative(dim, self.positive)

    def _bounds(self, leaf: Variable | Element) -> Bounds:
        """Return the bounds of a leaf over all steps, as dims of the parent's graph."""
        assert self.parent is not None
        array = leaf.array if isinstance(leaf, Element) else leaf
        outer = self.lift(array)
        if outer is not None and isinstance(leaf, Element):
            return self.parent._of_element(leaf.kind, outer)
        if outer is not None:
            return Bounds(Dim.of(outer), Dim.of(outer))
        if array in self.step_bounds:
            return self.step_bounds[array]
        if array.owner is not None and array.owner.op.named("mod"):
            divisor = Dim.of(array.owner.inputs[1]).number or 0
            return Bounds(ZERO, Dim.of(divisor - 1)) if divisor > 0 else UNKNOWN
        capacity = None if isinstance(leaf, Element) else self.length_capacity(leaf)
        most = None if capacity is None else self.lift(capacity)
        return UNKNOWN if most is None else Bounds(ZERO, Dim.of(most))

    def assume_step(self, n_steps: Dim) -> None:
        """Assume, in the body, that the trip count is at least 1."""
        lengths = [one.atom for one in flat_operands("maximum", [n_steps]) if one.number is None or one.number > 0]
        if len(lengths) == 1 and isinstance(lengths[0], Variable):
            self.positive.add(lengths[0])

    def bound_state(
        self,
        state: Variable,
        before: Variable,
        after: Variable,
        initial: Dim,
        n_steps: Dim,
        known: Mapping[Variable, Bounds],
    ) -> None:
        """Bound an integer state by induction: an induction variable (constant stride), or one clipped at every step.

        ``before`` and ``after`` are the state in the body that is about to be padded, ``state`` is its new input;
        ``known`` are bounds of that body's other inputs.
        """
        grows = (Dim.of(after) - Dim.of(before)).number
        if grows is not None:
            last = initial + (n_steps - 1) * grows
            self.step_bounds[state] = Bounds(initial, last) if grows >= 0 else Bounds(last, initial)
            return
        interval = Interval(
            lambda leaf: UNKNOWN if isinstance(leaf, Element) else known.get(leaf, UNKNOWN), is_natural_number
        )

        def end(kind: Kind, sign: int) -> Dim | None:
            """Return the state's greatest value times ``sign``; what falls from step to step raises none."""
            changes = [(dim, ((dim - Dim.of(before)) * sign).number) for dim in flat_operands(kind, [Dim.of(after)])]
            ends = [interval.greatest(dim * sign) for dim, change in changes if change is None or change > 0]
            found = [one for one in ends if one is not None]
            return maximum(initial * sign, *found) if len(found) == len(ends) else None

        least = end("minimum", -1)
        self.step_bounds[state] = Bounds(None if least is None else least * -1, end("maximum", 1))

    def elements(self, x: Variable) -> Bounds:
        """Return the bounds of an integer array's elements, as dims of the same graph."""
        return Interval(self._of_array, self.is_nonnegative).bounds(Dim.of(x))

    def _of_array(self, leaf: Variable | Element) -> Bounds:
        if isinstance(leaf, Element):
            return self._of_element(*leaf)
        if leaf.ndim == 0:
            return Bounds(Dim.of(leaf), Dim.of(leaf))
        if not leaf.type.is_integer:
            return UNKNOWN
        if isinstance(leaf, Constant):
            ends = (int(leaf.data.min()), int(leaf.data.max())) if leaf.data.size else (0, 0)
            return Bounds(*map(Dim.of, ends))
        if leaf.owner is not None and leaf.owner.op.named("arange"):
            return _of_range(leaf)
        if leaf.owner is not None and leaf.owner.op.has("selection"):
            return self.elements(leaf.owner.inputs[0])
        return Bounds(of_element("minimum", leaf), of_element("maximum", leaf))

    def _without_elements(self, leaf: Variable | Element) -> Bounds:
        ends = self._of_array(leaf)
        return Bounds(*(None if end is not None and end.reads_elements else end for end in ends))

    def _of_element(self, kind: Kind, array: Variable) -> Bounds:
        """Return the bounds of an array's least or greatest element."""
        found = self.elements(array)
        end = found.least if kind == "minimum" else found.greatest
        if end is not None and isinstance(end.atom, Element):
            return Bounds(end, end)
        return Bounds(end, None) if kind == "minimum" else Bounds(None, end)


def _of_range(x: Variable) -> Bounds:
    assert x.owner is not None
    rest = iter(x.owner.inputs)
    start, stop, step = (Dim.of(next(rest) if one is None else one) for one in x.owner.op.arguments["lengths"])
    if not step.number:
        return UNKNOWN
    # A range that has an element ends before its stop.
    return Bounds(start, stop - 1) if step.number > 0 else Bounds(stop + 1, start)
