"""The linearity walk: for each value between a state and its next one, ``value = factor * state + term``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np

from loopjax.ir.graph import Apply, Constant, Graph, Variable
from loopjax.ir.op import TableOp
from loopjax.ir.public_ops import ops
from loopjax.ir.types import TensorType
from loopjax.rewrite.semirings import Semiring


class Affine(NamedTuple):
    """``factor`` times the state plus ``term``: ``None`` is a factor of one and a term of zero."""

    factor: Variable | None
    term: Variable | None


Operand = Affine | Variable
"""What a node reads: a value that depends on the state, or one that does not."""


class Rules(Protocol):
    """What is linear, and in which arithmetic."""

    def form(self, row: str, operands: Sequence[Operand]) -> Affine | None:
        """The form of a node of this row; ``None`` where it has none."""
        ...


def walk(graph: Graph, past: Variable, rules: Rules) -> Affine | None:
    """The form of the graph's one output, which depends on ``past``."""
    forms: dict[Variable, Affine] = {past: Affine(None, None)}
    for node in graph.applies:
        if not any(variable in forms for variable in node.inputs):
            continue
        found = _form_of(node, forms, past.type, rules)
        if found is None:
            return None
        forms[node.outputs[0]] = found
    return forms[graph.outputs[0]]


def _form_of(node: Apply, forms: Mapping[Variable, Affine], type: TensorType, rules: Rules) -> Affine | None:
    if not isinstance(node.op, TableOp) or len(node.outputs) != 1 or node.outputs[0].type != type:
        return None
    if node.op.params and not node.op.has("matmul"):
        return None
    return rules.form(node.op.name, [forms.get(variable, variable) for variable in node.inputs])


@dataclass(frozen=True)
class Elementwise:
    """Elementwise, in the arithmetic of a ring."""

    ring: Semiring
    type: TensorType

    def form(self, row: str, operands: Sequence[Operand]) -> Affine | None:
        ring = self.ring
        if row == "identity":
            return _only(operands)
        if row == "switch":
            return self._switch(*operands)
        if row == ring.plus:
            return self._plus(*operands)
        if row == ring.times:
            return self._times(*operands)
        if row == ring.inverse:
            return self._inverse(*operands)
        if row in ("sub", "neg") and ring.times == "mul":
            return self._difference(*operands)
        if row in ("invert", "logical_not") and ring.plus in ("xor", "logical_xor"):
            return self._plus(operands[0], self._constant(ring.one))
        return None

    def _plus(self, first: Operand, second: Operand) -> Affine | None:
        if isinstance(first, Variable):
            first, second = second, first
        assert isinstance(first, Affine)
        if isinstance(second, Variable):
            return Affine(first.factor, self._sum(first.term, self._cast(second)))
        if first.factor is None and second.factor is None and self.ring.is_exact:
            return Affine(None, self._sum(first.term, second.term))
        factors = [self._constant(self.ring.one) if one.factor is None else one.factor for one in (first, second)]
        if None in factors:
            return None
        return Affine(ops[self.ring.plus](*factors), self._sum(first.term, second.term))

    def _times(self, first: Operand, second: Operand) -> Affine | None:
        if isinstance(first, Variable):
            first, second = second, first
        if isinstance(second, Affine):
            return None
        assert isinstance(first, Affine)
        free = self._cast(second)
        return self._each(first, free, lambda value: ops[self.ring.times](value, free))

    def _inverse(self, first: Operand, second: Operand) -> Affine | None:
        if isinstance(first, Variable) or isinstance(second, Affine):
            return None
        free = self._cast(second)
        one = self._constant(self.ring.one)
        return self._each(first, ops[self.ring.inverse](one, free), lambda value: ops[self.ring.inverse](value, free))

    def _difference(self, first: Operand, second: Operand | None = None) -> Affine | None:
        """``first - second``, or ``-first``."""
        if second is None:
            return self._negative(first)
        if isinstance(second, Variable):
            return self._plus(first, ops.neg(self._cast(second)))
        negative = self._negative(second)
        return None if negative is None else self._plus(first, negative)

    def _negative(self, operand: Operand) -> Affine | None:
        assert isinstance(operand, Affine)
        return self._each(operand, ops.neg(self._constant("1")), lambda value: ops.neg(value))

    def _switch(self, condition: Operand, first: Operand, second: Operand) -> Affine | None:
        if isinstance(condition, Affine):
            return None
        zero, one = self._constant(self.ring.zero), self._constant(self.ring.one)
        factors, terms = [], []
        for branch in (first, second):
            if isinstance(branch, Variable):
                if branch.type.is_float:
                    return None  # a state that is NaN would not be forgotten: nothing times NaN is NaN
                factors.append(zero)
                terms.append(self._cast(branch))
            else:
                factors.append(branch.factor if branch.factor is not None else one)
                terms.append(branch.term if branch.term is not None else zero)
        if None in factors or None in terms:
            return None
        factor = None if factors[0] is factors[1] is one else ops.switch(condition, *factors)
        return Affine(factor, None if terms[0] is terms[1] is zero else ops.switch(condition, *terms))

    def _each(self, form: Affine, factor: Variable, change: Callable[[Variable], Variable]) -> Affine:
        """The form with ``change`` made to its factor, ``factor`` being what becomes of one, and to its term."""
        return Affine(
            factor if form.factor is None else change(form.factor), None if form.term is None else change(form.term)
        )

    def _sum(self, first: Variable | None, second: Variable | None) -> Variable | None:
        if first is None or second is None:
            return first if second is None else second
        return ops[self.ring.plus](first, second)

    def _cast(self, free: Variable) -> Variable:
        """In the state's dtype, which the node that reads it brings it to."""
        return ops.cast(free, self.type.dtype)

    def _constant(self, element: str) -> Any:
        return self.ring.constant(element, self.type.dtype)


@dataclass(frozen=True)
class Matrix:
    """A vector or matrix times square matrices, all from one side: ``h @ A + b``, or ``A @ h + b``."""

    side: Literal["left", "right"] | str
    type: TensorType
    units: int

    def form(self, row: str, operands: Sequence[Operand]) -> Affine | None:
        if row == "identity":
            return _only(operands)
        if row in ("dot", "matmul"):
            return self._product(*operands)
        if row in ("add", "sub"):
            return self._sum(row, *operands)
        if row == "neg":
            return self._scaled("mul", operands[0], Constant(np.asarray(-1, self.type.dtype)))
        if row == "mul" and isinstance(operands[0], Variable):
            return self._scaled(row, operands[1], operands[0])
        if row in ("mul", "true_div"):
            return self._scaled(row, *operands)
        return None

    def _product(self, first: Operand, second: Operand) -> Affine | None:
        state, matrix = (first, second) if self.side == "right" else (second, first)
        if isinstance(state, Variable) or isinstance(matrix, Affine) or matrix.type.shape != (self.units, self.units):
            return None
        matrix = ops.cast(matrix, self.type.dtype)

        def times(value: Variable) -> Variable:
            return ops.dot(value, matrix) if self.side == "right" else ops.dot(matrix, value)

        return Affine(
            matrix if state.factor is None else times(state.factor), None if state.term is None else times(state.term)
        )

    def _sum(self, row: str, first: Operand, second: Operand) -> Affine | None:
        if isinstance(second, Variable):
            assert isinstance(first, Affine)
            free = ops.cast(second, self.type.dtype)
            term = free if row == "add" else ops.neg(free)
            return Affine(first.factor, term if first.term is None else ops.add(first.term, term))
        if row == "sub":
            negative = self._scaled("mul", second, Constant(np.asarray(-1, self.type.dtype)))
            return None if negative is None else self._sum("add", negative, first)
        if isinstance(first, Variable):
            return self._sum("add", second, first)
        terms = [one for one in (first.term, second.term) if one is not None]
        total = None if not terms else terms[0] if len(terms) == 1 else ops.add(*terms)
        return Affine(ops.add(self._factor(first), self._factor(second)), total)

    def _scaled(self, row: str, form: Operand, by: Operand) -> Affine | None:
        """Times (or divided by) what is the same along the axis that the product sums over."""
        if isinstance(form, Variable) or isinstance(by, Affine):
            return None
        free: Variable = ops.cast(by, self.type.dtype)
        sizes = (1,) * (self.type.ndim - free.ndim) + free.type.sizes
        axis = -1 if self.side == "right" else 0
        if any(size != 1 for place, size in enumerate(sizes) if place != axis % self.type.ndim):
            return None
        scale = free
        if free.ndim == self.type.ndim and self.type.ndim == 1 and self.side == "left":
            scale = ops.dimshuffle(free, 0, "x")
        term = None if form.term is None else ops[row](form.term, free)
        return Affine(ops[row](self._factor(form), scale), term)

    def _factor(self, form: Affine) -> Variable:
        if form.factor is not None:
            return form.factor
        return Constant(np.eye(self.units, dtype=self.type.dtype))


def _only(operands: Sequence[Operand]) -> Affine | None:
    (operand,) = operands
    return operand if isinstance(operand, Affine) else None
