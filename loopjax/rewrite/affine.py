"""Affine analysis: a state's next value as ``factor * state + term``.

The body is walked from the state to its next value, and every value on the way that depends on the state gets a factor
and a term, which do not. So it does not matter how the body is written: for ``h' = z * (h + x) - h``

    h            (1, 0)
    h + x        (1, x)
    z * (h + x)  (z, z * x)
    ... - h      (z - 1, z * x)

Two arithmetics are known: elementwise in any semiring, and a vector or matrix that square matrices multiply from one
side. A value that depends on the state otherwise has no form, and the recurrence is not linear.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np

from loopjax.ir.graph import Apply, Constant, Graph, Variable
from loopjax.ir.op import TableOp
from loopjax.ir.public_ops import ops
from loopjax.ir.types import TensorType
from loopjax.rewrite.semirings import Semiring


class Affine(NamedTuple):
    """``factor`` times the state plus ``term``; ``None`` stands for the one and the zero of the arithmetic."""

    factor: Variable | None
    term: Variable | None


Operand = Affine | Variable
"""An input of a node: a value that depends on the state, or one that does not."""


@dataclass(frozen=True)
class Arithmetic:
    """Rules by which a node that depends on a state of this ``type`` has an affine form in the semiring ``ring``."""

    type: TensorType
    ring: Semiring

    is_elementwise = False

    def form(self, op: str, operands: Sequence[Operand]) -> Affine | None:
        """The form of an op of the table on these operands; ``None`` where it has none."""
        if op == "identity":
            return operands[0] if isinstance(operands[0], Affine) else None
        if op == self.ring.plus:
            return self._plus(*operands)
        if op == self.ring.times:
            state, free = reversed(operands) if isinstance(operands[0], Variable) else operands
            return self._scaled(op, state, free)
        if op == self.ring.inverse:
            return self._scaled(op, *operands)
        if op == "neg" and self.ring.times == "mul":
            return self._negative(operands[0])
        if op == "sub" and self.ring.times == "mul":
            first, second = operands
            return self._plus(first, self._negative(second))
        return self._other(op, operands)

    def _other(self, op: str, operands: Sequence[Operand]) -> Affine | None:
        """The form of an op that only one of the arithmetics knows."""
        raise NotImplementedError

    def _one(self) -> Variable | None:
        """The factor of the state itself; ``None`` where the dtype has no such value."""
        raise NotImplementedError

    def _scale(self, free: Variable) -> Variable | None:
        """A value that is free of the state in the shape that scales a factor; ``None`` where it scales none."""
        return free

    def _plus(self, first: Operand, second: Operand | None) -> Affine | None:
        if isinstance(first, Variable) and second is not None:
            first, second = second, first
        if second is None or isinstance(first, Variable):
            return None
        if isinstance(second, Variable):
            return Affine(first.factor, self._sum(first.term, self._cast(second)))
        term = self._sum(first.term, second.term)
        if first.factor is None and second.factor is None and self.ring.is_exact:
            return Affine(None, term)
        factors = [self._factor(first), self._factor(second)]
        return None if None in factors else Affine(ops[self.ring.plus](*factors), term)

    def _negative(self, operand: Operand) -> Any:
        if isinstance(operand, Variable):
            return ops.neg(self._cast(operand))
        return Affine(ops.neg(self._factor(operand)), None if operand.term is None else ops.neg(operand.term))

    def _scaled(self, op: str, state: Operand, by: Operand) -> Affine | None:
        """``state`` times a value that is free of it, or divided by one."""
        if isinstance(state, Variable) or isinstance(by, Affine):
            return None
        free = self._cast(by)
        scale = self._scale(free)
        if scale is None:
            return None
        is_scale = self.is_elementwise and state.factor is None and op == self.ring.times
        factor = scale if is_scale else ops[op](self._factor(state), scale)
        return Affine(factor, None if state.term is None else ops[op](state.term, free))

    def _factor(self, form: Affine) -> Variable | None:
        return self._one() if form.factor is None else form.factor

    def _sum(self, first: Variable | None, second: Variable | None) -> Variable | None:
        if first is None or second is None:
            return first if second is None else second
        total: Variable = ops[self.ring.plus](first, second)
        return total

    def _cast(self, free: Variable) -> Variable:
        """A value in the state's dtype, as the node that reads it takes it."""
        value: Variable = ops.cast(free, self.type.dtype)
        return value


class Elementwise(Arithmetic):
    """Elementwise, in the arithmetic of a semiring."""

    is_elementwise = True

    def _other(self, op: str, operands: Sequence[Operand]) -> Affine | None:
        if op == "switch":
            return self._switch(*operands)
        if op in ("invert", "logical_not") and self.ring.plus in ("xor", "logical_xor"):
            return self._plus(operands[0], self._one())
        return None

    def _one(self) -> Variable | None:
        return self.ring.constant(self.ring.one, self.type.dtype)

    def _switch(self, condition: Operand, first: Operand, second: Operand) -> Affine | None:
        if isinstance(condition, Affine):
            return None
        zero, one = self.ring.constant(self.ring.zero, self.type.dtype), self._one()
        factors: list[Variable | None] = []
        terms: list[Variable | None] = []
        for branch in (first, second):
            if isinstance(branch, Variable):
                if branch.type.is_float:
                    return None  # a state that is NaN would not be forgotten: nothing times NaN is NaN
                factors.append(zero)
                terms.append(self._cast(branch))
            else:
                factors.append(one if branch.factor is None else branch.factor)
                terms.append(zero if branch.term is None else branch.term)
        if None in factors or None in terms:
            return None
        factor = None if factors[0] is factors[1] is one else ops.switch(condition, *factors)
        return Affine(factor, None if terms[0] is terms[1] is zero else ops.switch(condition, *terms))


@dataclass(frozen=True)
class Matrix(Arithmetic):
    """A vector or matrix times square matrices of ``units`` rows, all from one side: ``h @ A + b`` or ``A @ h + b``.

    Their ``ring`` is that of sums and products.
    """

    side: Literal["left", "right"]
    units: int

    def _other(self, op: str, operands: Sequence[Operand]) -> Affine | None:
        if op not in ("dot", "matmul"):
            return None
        state, matrix = operands if self.side == "right" else reversed(operands)
        if isinstance(state, Variable) or isinstance(matrix, Affine) or matrix.type.shape != (self.units, self.units):
            return None
        matrix = self._cast(matrix)

        def times(value: Variable | None) -> Variable | None:
            if value is None:
                return None
            product: Variable = ops.dot(value, matrix) if self.side == "right" else ops.dot(matrix, value)
            return product

        return Affine(matrix if state.factor is None else times(state.factor), times(state.term))

    def _one(self) -> Variable | None:
        return Constant(np.eye(self.units, dtype=self.type.dtype))

    def _scale(self, free: Variable) -> Variable | None:
        # It scales the rows (columns) of the matrix where it is the same along the axis that the product sums over.
        sizes = (1,) * (self.type.ndim - free.ndim) + free.type.sizes
        axis = (-1 if self.side == "right" else 0) % self.type.ndim
        if any(size != 1 for position, size in enumerate(sizes) if position != axis):
            return None
        is_column = free.ndim == self.type.ndim == 1 and self.side == "left"
        scale: Variable = ops.dimshuffle(free, 0, "x") if is_column else free
        return scale


def walk(graph: Graph, past: Variable, arithmetic: Arithmetic) -> Affine | None:
    """The form of the graph's one output, which depends on ``past``."""
    forms: dict[Variable, Affine] = {past: Affine(None, None)}
    for node in graph.applies:
        if not any(variable in forms for variable in node.inputs):
            continue
        found = _form_of(node, forms, arithmetic)
        if found is None:
            return None
        forms[node.outputs[0]] = found
    return forms[graph.outputs[0]]


def _form_of(node: Apply, forms: Mapping[Variable, Affine], arithmetic: Arithmetic) -> Affine | None:
    if not isinstance(node.op, TableOp) or len(node.outputs) != 1 or node.outputs[0].type != arithmetic.type:
        return None
    if node.op.params and not node.op.has("matmul"):
        return None
    return arithmetic.form(node.op.name, [forms.get(variable, variable) for variable in node.inputs])
