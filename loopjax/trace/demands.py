"""Which inputs of a node decide shapes, in it or in its regions: they must be known before it can be compiled."""

from __future__ import annotations

from collections.abc import Iterable

from loopjax.errors import LengthError, UnsupportedError, where
from loopjax.trace.derivative import Differentiated
from loopjax.trace.graph import Apply, Graph, Variable
from loopjax.trace.lengths import leaves_of
from loopjax.trace.loop import Scan


def cut_outputs(node: Apply | None) -> tuple[Variable, ...]:
    """The outputs of a node whose length only its run decides."""
    if node is None or not isinstance(node.op, Scan) or not node.op.until:
        return ()
    return tuple(
        stack for output, stack in zip(node.op.outputs, node.outputs, strict=False) if output.keep.last is None
    )


def demanded(node: Apply) -> list[Variable]:
    """The inputs of a node whose values decide shapes, in it or in its regions."""
    positions = set(node.op.length_inputs(len(node.inputs)))
    for region in node.op.regions:
        positions |= _demanded_of(node, region)
    return [node.inputs[position] for position in sorted(positions)]


def _demanded_of(node: Apply, region: Graph) -> set[int]:
    """Positions of a node's inputs whose values decide shapes in its region."""
    place = {variable: position for position, variable in enumerate(region.inputs)}
    lengths: list[Variable] = []
    for inner in region.applies:
        _check_cut(inner, region)
        lengths.extend(demanded(inner))
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


def _check_cut(inner: Apply, region: Graph) -> None:
    """A loop of unknown length inside a region may be read through its last rows and its length alone."""
    stacks: Iterable[Variable] = cut_outputs(inner)
    for stack in stacks:
        if stack in region.outputs or region.readers.get(stack):
            assert isinstance(inner.op, Scan)
            raise UnsupportedError(
                f"scan {inner.op.label!r} stops by until inside of another loop or a gradient, so its length "
                f"differs from step "
                f"to step: read it through [-1], [i], .sum(0) or .shape[0], not as a whole{where(inner.sources)}"
            )
