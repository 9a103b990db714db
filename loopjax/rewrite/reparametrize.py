"""What a draw takes of chance alone, apart from its parameters: a standard draw, which is then moved and stretched."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from loopjax.ir.graph import Apply, Graph, Variable
from loopjax.ir.op import Reparametrization, TableOp, table_op
from loopjax.ir.public_ops import ops


def is_draw(node: Apply) -> bool:
    """Whether a node draws from a distribution."""
    return node.op.has("draw")


def standard_draws(
    body: Graph, keys: Collection[Variable], bound: set[Variable], wanted: Callable[[Apply], bool] = is_draw
) -> Graph:
    """The body with standard draws in the place of those whose parameters are among ``bound``, where they are
    ``wanted``."""

    def transform(node: Apply, inputs: tuple[Variable, ...]) -> Sequence[Variable] | None:
        moved = node.op.definition.reparametrization if isinstance(node.op, TableOp) else None
        if moved is None or node.inputs[0] not in keys or bound.isdisjoint(node.inputs) or not wanted(node):
            return None
        return [_apart(node, moved, inputs)]

    return body.rebuilt(transform=transform)


def _apart(node: Apply, moved: Reparametrization, inputs: Sequence[Variable]) -> Variable:
    """A draw on these inputs as draws without parameters, and what its parameters do to them."""
    key, *parameters = inputs
    (drawn,) = node.outputs
    dtype = moved.dtype(drawn.dtype, parameters[0].dtype)
    draws = Apply(table_op(moved.base, lengths=drawn.type.sizes, dtype=dtype), [key], node.sources).outputs[0]
    found: Variable = moved.transform(lambda name, *args: ops[name](*args), draws, *parameters).astype(drawn.dtype)
    return found
