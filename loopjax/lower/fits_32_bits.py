"""Test if a planned program computes the same in 32 bits as in 64.

Positions, lengths and counts are int64 by convention. Where JAX's x64 is off, a program that needs 32 bits only is
plain JAX, whose integers are int32 then; any other is one opaque primitive (``lower/x64_primitive.py``). Limits: a
float that is not between known integers may be cast to any integer; the result of an op without a rule in
``ir/ranges.py`` may be any, too.
"""

from __future__ import annotations

from loopjax.ir.graph import Apply, Graph, Variable
from loopjax.ir.ranges import Found, Range, RangeAnalysis
from loopjax.ir.scan import MOST_STEPS
from loopjax.ir.types import NARROW

INT32 = Range(-MOST_STEPS, MOST_STEPS)

COUNTS = Range(-MOST_STEPS + 2**16, MOST_STEPS - 2**16)
"""The integers that an int64 input is taken to be where it comes as int32: a program may count on from them."""


class NeedsX64(Exception):
    """A value of a program needs 64 bits."""


class _In32Bits(RangeAnalysis):
    """Ranges of a program of 32 bits; raises ``NeedsX64`` for a value that these do not hold."""

    reads_within = True  # the least int64, which a read out of bounds gives, is the least int32 there

    def limits(self, variable: Variable) -> Range:
        return INT32 if variable.dtype == "int64" else super().limits(variable)

    def limited(self, variable: Variable, found: Found) -> Found:
        fits = variable.dtype == "int64" and found is not None and INT32.holds(found)
        if variable.dtype in NARROW and not fits:
            raise NeedsX64
        return super().limited(variable, found)

    def note(self, node: Apply) -> None:
        if node.op.has("x64"):
            raise NeedsX64
        super().note(node)


def fits_32_bits(graph: Graph) -> bool:
    """Test if all 64-bit values of a planned program, whose inputs come in 32 bits, are integers that fit into 32."""
    analysis = _In32Bits()
    try:
        analysis.ranges = {variable: analysis.limited(variable, COUNTS) for variable in graph.inputs}
        analysis.run(graph)
    except NeedsX64:
        return False
    return True
