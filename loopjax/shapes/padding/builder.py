"""A builder of graphs that emits each node once."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from functools import partial, reduce

import numpy as np

from loopjax.errors import Source
from loopjax.ir.graph import Apply, Constant, Op, Variable
from loopjax.ir.index import WHOLE, Array, index_op
from loopjax.ir.lengths import compute
from loopjax.ir.op import TableOp, table_op
from loopjax.trace.convert import constant

Length = Variable | int


class GraphBuilder:
    """Emits nodes at the user's lines ``sources``, equal ones once (hash-consing).

    Lengths are compared by identity, so that equal expressions of lengths must be the same variable.
    """

    def __init__(self) -> None:
        self.sources: tuple[Source, ...] = ()
        self._nodes: dict[Hashable, Apply] = {}
        self._constants: dict[object, Constant] = {}

    def apply(self, op: Op, *inputs: Variable) -> tuple[Variable, ...]:
        """Return the outputs of a node."""
        operands = tuple(self._unique(variable) for variable in inputs)
        if not isinstance(op, TableOp):
            return Apply(op, operands, self.sources).outputs
        key = (op, operands)
        if key not in self._nodes:
            self._nodes[key] = Apply(op, operands, self.sources)
        return self._nodes[key].outputs

    def emit(self, name: str, *inputs: Length, **params: Hashable) -> Variable:
        """Return the output of an op of the table."""
        return self.apply(table_op(name, **params), *(self.scalar(value) for value in inputs))[0]

    def emit_sized(self, name: str, *inputs: Length, lengths: Sequence[Length], **params: Hashable) -> Variable:
        """Return the output of an op that takes lengths: those that are no numbers become its last inputs."""
        scalars = [self.scalar(length) for length in lengths]
        static = tuple(int(scalar.data) if isinstance(scalar, Constant) else None for scalar in scalars)
        symbolic = [scalar for scalar in scalars if not isinstance(scalar, Constant)]
        return self.emit(name, *inputs, *symbolic, lengths=static, **params)

    def scalar(self, value: Length) -> Variable:
        """Return an int as a constant, a variable as it is."""
        return self._unique(constant(value)) if isinstance(value, int) else value

    def integer(self, value: Length) -> Variable:
        """Return a length as an int64 scalar."""
        variable = self.scalar(value)
        if variable.dtype == "int64":
            return variable
        if isinstance(variable, Constant):
            return self.scalar(int(variable.data))
        return self.emit("cast", variable, dtype="int64")

    def _unique(self, variable: Variable) -> Variable:
        if not isinstance(variable, Constant):
            return variable
        return self._constants.setdefault((variable.key, variable.type.weak), variable)

    # Arithmetic of lengths, simplified so that equal lengths are seen to be equal.

    def calc(self, name: str, *values: Length) -> Variable:
        """Return the result of an op on int64 scalars, folded where all are numbers."""
        operands = [self.integer(value) for value in values]
        if name in ("minimum", "maximum") and operands[0] is operands[1]:
            return operands[0]
        if name in ("add", "sub") and isinstance(operands[1], Constant) and not operands[1].data:
            return operands[0]
        if name == "mul":
            for one, other in (operands, operands[::-1]):
                if isinstance(one, Constant) and one.data == 1:
                    return other
        result = self.apply(table_op(name), *operands)[0]
        data = [operand.data for operand in operands if isinstance(operand, Constant)]
        if result.owner is None or len(data) < len(operands):
            return result
        return self._unique(Constant(np.asarray(compute(result.owner, data))))

    def ceil_div(self, length: Length, divisor: Length) -> Variable:
        """Return a length divided by an integer, rounded up; a divisor that is a variable is positive."""
        if isinstance(divisor, int) and divisor < 0:
            return self.ceil_div(self.calc("sub", 0, length), -divisor)
        if isinstance(divisor, int) and divisor == 1:
            return self.integer(length)
        return self.calc("floor_div", self.calc("add", length, self.calc("sub", divisor, 1)), divisor)

    def product(self, lengths: Sequence[Length]) -> Variable:
        """Return the product of lengths."""
        return reduce(partial(self.calc, "mul"), lengths, self.scalar(1))

    def least(self, lengths: Sequence[Variable]) -> Variable:
        """Return the least of lengths."""
        return reduce(partial(self.calc, "minimum"), lengths)

    # Rows.

    def iota(self, size: Length, start: int = 0) -> Variable:
        """Return the integers from ``start`` up to ``size``."""
        return self.emit_sized("arange", lengths=[start, size, 1], dtype="int64")

    def resize(self, x: Variable, axis: int, size: Length) -> Variable:
        """Return the first ``size`` rows of ``x`` along an axis, further rows unwritten."""
        return self.emit_sized("resize", x, lengths=[size], axis=axis)

    def take(self, x: Variable, axis: int, positions: Variable, size: Variable) -> Variable:
        """Return the rows of ``x`` at ``positions`` along an axis of ``size`` rows, clipped to those."""
        inside = self.emit("minimum", positions, self.calc("maximum", self.calc("sub", size, 1), 0))
        op = index_op([*[WHOLE] * axis, Array()], x.ndim)
        return self.apply(op, x, self.emit("maximum", inside, 0))[0]

    def row(self, x: Variable, position: int) -> Variable:
        """Return the row of ``x`` at a position along the first axis."""
        return self.apply(index_op([position], x.ndim), x)[0]
