"""Index checks: with ``check="index"``, each index that only the device knows passes an ``in_bounds``.

``x[i]`` becomes ``x[in_bounds(i)]``; lowering compares ``i`` with the size of its axis and reports the user's line.
"""

from __future__ import annotations

from loopjax.errors import where
from loopjax.ir.graph import Apply, Constant, Variable, copy_node
from loopjax.ir.index import index_inputs
from loopjax.ir.op import register, same_type, table_op
from loopjax.rewrite.driver import Context, Pass, Replacement

register("in_bounds", None, same_type, "pointwise", "view", "may_fail")


class CheckIndices(Pass):
    """Inserts ``in_bounds`` before the array indices of reads and writes, but for constants, which are checked when the
    graph is sized."""

    def rewrite_node(self, node: Apply, inputs: tuple[Variable, ...], context: Context) -> Replacement:
        checked = list(inputs)
        for position, axis in index_inputs(node):
            if not isinstance(inputs[position], Constant):
                check = table_op("in_bounds", size=inputs[0].type.sizes[axis], place=where(node.sources))
                checked[position] = Apply(check, [inputs[position]], node.sources).outputs[0]
        return copy_node(node, checked).outputs if index_inputs(node) else None
