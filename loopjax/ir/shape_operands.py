"""Shape operands: the inputs of a node whose values decide shapes, in it or in its regions.

They must be numbers before the node can be compiled. ``shapes/stages.py`` splits a program where only a run tells one.
"""

from __future__ import annotations

from loopjax.errors import LengthError, coded, where
from loopjax.ir.autodiff import Differentiated
from loopjax.ir.graph import Apply, Graph, Variable
from loopjax.ir.lengths import leaves_of
from loopjax.ir.scan import Scan


def stacked_until(node: Apply | None) -> tuple[Variable, ...]:
    """Return the outputs of an ``until`` loop whose number of valid rows only a run decides."""
    if node is None or not isinstance(node.op, Scan) or not node.op.until:
        return ()
    return tuple(
        stack for output, stack in zip(node.op.outputs, node.outputs, strict=False) if output.saved.last is None
    )


def is_cut(node: Apply | None) -> bool:
    """Test if a node slices a buffer to a length that is known only once what precedes it has run."""
    return node is not None and node.op.named("cut")


def shape_operands(node: Apply, padded: bool = True) -> list[Variable]:
    """Return the inputs of a node whose values decide shapes, in it or in its regions.

    Raises ``LengthError`` for a length that a step of a loop decides: once a program is ``padded``, there is none.
    Before, such lengths are left out.
    """
    positions = set(node.op.length_inputs(len(node.inputs)))
    for region in node.op.regions:
        positions |= _region_operands(node, region, padded)
    return [node.inputs[position] for position in sorted(positions)]


def _region_operands(node: Apply, region: Graph, padded: bool) -> set[int]:
    """Return the positions of a node's inputs whose values decide shapes in its region."""
    lengths = [length for inner in region.applies for length in shape_operands(inner, padded)]
    leaves = leaves_of(lengths, stop=region.inputs)
    places = {variable: position for position, variable in enumerate(region.inputs)}
    positions = {leaf: _outer_position(node, places[leaf]) for leaf in leaves.values}
    for length in [*leaves.opaque, *(leaf for leaf, position in positions.items() if position is None)]:
        if padded:
            raise _varies(node, length)
    return {position for position in positions.values() if position is not None}


def _outer_position(node: Apply, position: int) -> int | None:
    """Return the position of the node's input that an input of its region stands for; ``None`` where a step decides
    its value."""
    if isinstance(node.op, Differentiated):
        return position
    assert isinstance(node.op, Scan)
    # Non-sequences are the last inputs of a loop and of its body; whatever precedes them changes from step to step.
    from_end = len(node.op.body.inputs) - position
    if from_end > len(node.op.inputs(node.inputs).non_sequences):
        return None
    return len(node.inputs) - from_end


def _varies(node: Apply, length: Variable) -> LengthError:
    label = node.op.subject if isinstance(node.op, Scan) else "a differentiated region"
    return coded(LengthError, "LJ702")(
        f"{label}: the length {length!r}{where(length.sources)} differs from step to step, and nothing is known that "
        f"bounds it or the op that needs it takes no varying length; write minimum(length, most), or a mask over all "
        f"elements{where(node.sources)}"
    )
