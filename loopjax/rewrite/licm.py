"""Loop-invariant code motion: what is the same at every step is computed once, before the loop.

A node of a body is invariant where it reads non-sequences, constants and invariant nodes only. Invariant nodes that a
node which stays reads move out, through as many loops as they depend on none of, and become non-sequences::

    scan(lambda h, W: h @ (W + W.T), ...)  ->  S = W + W.T; scan(lambda h, S: h @ S, ...)

XLA moves code out of its loops too, but JAX's derivative rules come before it: an invariant node that stays is stored
for each step's gradient. What only repeats or turns an array stays, since XLA reads through it, and so does what would
only take room. Out of a loop that may run no step nothing moves that may fail or take long.
"""

from __future__ import annotations

from dataclasses import dataclass

from loopjax.ir.graph import Apply, Constant, Graph, Variable
from loopjax.ir.op import TableOp
from loopjax.ir.scan import Scan
from loopjax.ir.types import RESIDUAL
from loopjax.rewrite.cost_model import bytes_of
from loopjax.rewrite.driver import Context, Pass, Replacement
from loopjax.rewrite.scan_builder import Capture, scan_builder


@dataclass(frozen=True)
class HoistInvariants(Pass):
    """Moves invariant nodes out of bodies.

    Attributes
    ----------
    most_bytes
        Bytes of an elementwise result up to which it moves out however small its inputs are: a larger one would be read
        from memory at each step, where the inputs are in cache.
    """

    most_bytes: int = 2**16

    def rewrite_scan(self, node: Apply, op: Scan, inputs: tuple[Variable, ...], context: Context) -> Replacement:
        if op.n_steps in (0, 1):
            return None
        border = self._border(op.body, _invariant(op))
        if not border:
            return None
        loop = scan_builder(node, inputs)
        inner = [Variable(variable.type, name=variable.name) for variable in border]
        moved = [Capture(*pair) for pair in zip(loop.outside(border), inner, strict=True)]
        loop.substitute(dict(zip(border, inner, strict=True)))
        loop.non_sequences += moved
        names = ", ".join(dict.fromkeys(variable.owner.op.name for variable in border if variable.owner is not None))
        loop.notes.append(f"{names}, the same at every step, moved out")
        return loop.outputs_for(node)

    def _border(self, body: Graph, invariant: set[Variable]) -> list[Variable]:
        """The invariant values that move out and that a node which stays reads."""
        border: dict[Variable, None] = {}
        reads = [v for node in body.applies if node.outputs[0] not in invariant for v in node.inputs]
        pending = [variable for variable in (*reads, *body.outputs) if variable in invariant]
        seen = set(pending)
        while pending:
            variable = pending.pop()
            node = variable.owner
            assert node is not None
            if not self._stays(node):
                border[variable] = None
                continue
            further = [read for read in node.inputs if read in invariant and read not in seen]
            seen.update(further)
            pending.extend(further)
        return list(border)

    def _stays(self, node: Apply) -> bool:
        """True for an invariant node that costs less in a step than the room for its result."""
        grows = bytes_of(node.outputs) > max(self.most_bytes, 2 * bytes_of(node.inputs))
        return node.op.has("view") or (node.op.has("pointwise") and grows)


def _invariant(op: Scan) -> set[Variable]:
    """The values of a body that are computed of non-sequences only and may be computed before the loop."""
    same = set(op.body_inputs(op.body.inputs).non_sequences)
    found: set[Variable] = set()
    for node in op.body.applies:
        reads = [variable for variable in node.inputs if not isinstance(variable, Constant)]
        # Nodes of constants only are left to XLA; a residual has to stay in the graph of its pullback.
        if not reads or not same.issuperset(reads) or any(output.dtype == RESIDUAL for output in node.outputs):
            continue
        # A dynamic loop may run no step: then nothing may fail, or take long, before it.
        if op.dynamic and (not isinstance(node.op, TableOp) or node.op.has("may_fail")):
            continue
        same.update(node.outputs)
        found.update(node.outputs)
    return found
