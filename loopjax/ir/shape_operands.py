"""Shape operands: the inputs of a node whose values decide shapes, in it or in its regions.

They must be numbers before the node can be compiled. ``shapes/stages.py`` splits a program where only a run tells one.
"""

from __future__ import annotations

from loopjax.errors import LengthError, where
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


def shape_operands(node: Apply) -> list[Variable]:
    """Return the inputs of a node whose values decide shapes, in it or in its regions."""
    positions = set(node.op.length_inputs(len(node.inputs)))
    for region in node.op.regions:
        positions |= _region_operands(node, region)
    return [node.inputs[position] for position in sorted(positions)]


def _region_operands(node: Apply, region: Graph) -> set[int]:
    """Return the positions of a node's inputs whose values decide shapes in its region."""
    lengths = [length for inner in region.applies for length in shape_operands(inner)]
    leaves = leaves_of(lengths, stop=region.inputs)
    for length in leaves.opaque:
        raise _varies(node, length)
    positions = {variable: position for position, variable in enumerate(region.inputs)}
    return {_outer_position(node, positions[leaf], leaf) for leaf in leaves.values}


def _outer_position(node: Apply, position: int, length: Variable) -> int:
    """Return the position of the node's input that an input of its region stands for."""
    if isinstance(node.op, Differentiated):
        return position
    assert isinstance(node.op, Scan)
    # Non-sequences are the last inputs of a loop and of its body; whatever precedes them changes from step to step.
    from_end = len(node.op.body.inputs) - position
    if from_end > len(node.op.inputs(node.inputs).non_sequences):
        raise _varies(node, length)
    return len(node.inputs) - from_end


def _varies(node: Apply, length: Variable) -> LengthError:
    label = node.op.subject if isinstance(node.op, Scan) else "a differentiated region"
    return LengthError(
        f"{label}: the length {length!r}{where(length.sources)} is computed anew at each step or on the device; "
        f"inside of a loop a length must be the same at every step and known before the call{where(node.sources)}"
    )
