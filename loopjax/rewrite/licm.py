"""What is the same at every step is computed once, before the loop."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from loopjax.ir.graph import Apply, Constant, Graph, Variable
from loopjax.ir.op import TableOp
from loopjax.ir.scan import Scan
from loopjax.ir.types import RESIDUAL
from loopjax.rewrite.cost_model import bytes_of
from loopjax.rewrite.driver import Context, Pass
from loopjax.rewrite.scan_builder import Capture, scan_builder


@dataclass(frozen=True)
class HoistInvariants(Pass):
    """Moves nodes of non-sequences alone out of bodies, through as many loops as they depend on none of.

    What only repeats or turns an array stays, and so does what would only take room. Out of a loop that may run no step
    nothing moves that may fail or take long.

    Attributes
    ----------
    most_bytes
        Bytes of an elementwise result up to which it moves out however small its inputs are: a larger one would be read
        from memory at each step, where the inputs are in cache.
    """

    most_bytes: int = 2**16

    def rewrite_scan(
        self, node: Apply, op: Scan, inputs: tuple[Variable, ...], context: Context
    ) -> Sequence[Variable] | None:
        if op.n_steps in (0, 1) or not op.body_inputs(op.body.inputs).non_sequences:
            return None
        border = _border(op.body, _invariant(op), self.most_bytes)
        if not border:
            return None
        loop = scan_builder(node, inputs)
        moved = loop.outside(border)
        fresh = {variable: Variable(variable.type, name=variable.name) for variable in border}
        loop.substitute(fresh)
        loop.non_sequences.extend(map(Capture, moved, fresh.values()))
        names = ", ".join(dict.fromkeys(variable.owner.op.name for variable in border if variable.owner is not None))
        loop.notes.append(f"{names}, the same at every step, moved out")
        return loop.outputs_for(node)


def _invariant(op: Scan) -> set[Variable]:
    """What the body computes of non-sequences."""
    inner = op.body_inputs(op.body.inputs).non_sequences
    same = set(inner)
    found: set[Variable] = set()
    for node in op.body.applies:
        if not all(isinstance(variable, Constant) or variable in same for variable in node.inputs):
            continue
        if all(isinstance(variable, Constant) for variable in node.inputs) or (op.dynamic and not _is_safe(node)):
            continue
        if any(output.dtype == RESIDUAL for output in node.outputs):
            continue
        same.update(node.outputs)
        found.update(node.outputs)
    return found


def _is_safe(node: Apply) -> bool:
    """Whether a node neither fails nor takes long where the loop would have run no step."""
    return isinstance(node.op, TableOp) and not node.op.has("may_fail")


def _border(body: Graph, fixed: set[Variable], most_bytes: int) -> list[Variable]:
    """The values that move out, and that what stays reads."""
    border: dict[Variable, None] = {}
    reads = [v for node in body.applies if node.outputs[0] not in fixed for v in node.inputs]
    stack = [variable for variable in (*reads, *body.outputs) if variable in fixed]
    seen = set(stack)
    while stack:
        variable = stack.pop()
        node = variable.owner
        assert node is not None
        if not _stays(node, most_bytes):
            border[variable] = None
            continue
        further = [one for one in node.inputs if one in fixed and one not in seen]
        seen.update(further)
        stack.extend(further)
    return list(border)


def _stays(node: Apply, most_bytes: int) -> bool:
    """Test if recomputing a node in each step costs less than reading its result: XLA reads through views."""
    if node.op.has("view"):
        return True
    size = bytes_of(node.outputs)
    return node.op.has("pointwise") and size > max(most_bytes, 2 * bytes_of(node.inputs))
