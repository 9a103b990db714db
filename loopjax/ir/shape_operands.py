"""Which inputs of a node decide shapes, in it or in its regions: they must be known before it can be compiled."""

from __future__ import annotations

from loopjax.errors import LengthError, where
from loopjax.ir.autodiff import Differentiated
from loopjax.ir.graph import Apply, Graph, Variable
from loopjax.ir.lengths import leaves_of
from loopjax.ir.op import TableOp
from loopjax.ir.scan import Scan


def stacked_until(node: Apply | None) -> tuple[Variable, ...]:
    """The outputs of a loop of which only the run decides how many rows count."""
    if node is None or not isinstance(node.op, Scan) or not node.op.until:
        return ()
    return tuple(
        stack for output, stack in zip(node.op.outputs, node.outputs, strict=False) if output.saved.last is None
    )


def is_cut(node: Apply | None) -> bool:
    """Whether a node gives the rows that count, which only the run of what is before it can tell."""
    return node is not None and isinstance(node.op, TableOp) and node.op.row == "cut"


def shape_operands(node: Apply) -> list[Variable]:
    """The inputs of a node whose values decide shapes, in it or in its regions."""
    positions = set(node.op.length_inputs(len(node.inputs)))
    for region in node.op.regions:
        positions |= _region_operands(node, region)
    return [node.inputs[position] for position in sorted(positions)]


def _region_operands(node: Apply, region: Graph) -> set[int]:
    """Positions of a node's inputs whose values decide shapes in its region."""
    place = {variable: position for position, variable in enumerate(region.inputs)}
    lengths: list[Variable] = []
    for inner in region.applies:
        lengths.extend(shape_operands(inner))
    leaves = leaves_of(lengths, stop=region.inputs)
    for variable in leaves.opaque:
        raise _varies(node, variable)
    return {_outer_position(node, place[variable], variable) for variable in leaves.values}


def _outer_position(node: Apply, position: int, variable: Variable) -> int:
    """The position of the input that a region's input stands for."""
    if isinstance(node.op, Differentiated):
        return position
    assert isinstance(node.op, Scan)
    outer = len(node.inputs) - (len(node.op.body.inputs) - position)
    first = len(node.inputs) - len(node.op.inputs(node.inputs).non_sequences)
    if outer < first:
        raise _varies(node, variable)
    return outer


def _varies(node: Apply, variable: Variable) -> LengthError:
    label = node.op.subject if isinstance(node.op, Scan) else "a differentiated region"
    return LengthError(
        f"{label}: the length {variable!r}{where(variable.sources)} is computed anew at each step or on the "
        f"device; inside "
        f"of a loop a length must be the same at every step and known before the call{where(node.sources)}"
    )
