"""The entry to padding."""

from __future__ import annotations

from loopjax.ir.graph import Graph
from loopjax.ir.op import TableOp
from loopjax.ir.scan import Scan
from loopjax.shapes.padding.spec import Padded, Padding


def pad(graph: Graph, padding: Padding) -> Padded:
    """Gives axes of varying length a capacity, so that one program serves many lengths.

    Ops that mix rows mask those past the length. Before an op without a rule for that, the axis is cut to its length,
    which ends a stage or is compiled for each length. In the bodies of loops no stage can end, so that lengths which
    only a run decides are padded there whatever ``padding`` says. Every output is cut to its length.

    Parameters
    ----------
    graph
        A program, with the passes before shapes are known applied to it. It must not be padded already.
    padding
        The lengths that vary.

    Returns
    -------
    Padded
        The graph with further inputs, the lengths of axes, and further outputs, the truth values of assertions. It is
        the graph itself where nothing varies.
    """
    if not (padding.values or padding.axes or padding.device) and not _may_vary(graph):
        return Padded(graph)
    # Rules are imported only where they are needed: they would be a twentieth of the package's import time.
    from loopjax.shapes.padding.walk import padded

    return padded(graph, padding)


def _may_vary(graph: Graph, in_region: bool = False) -> bool:
    """Test if lengths vary though no argument does: only a run decides them or, in a region, they are no constants."""
    for node in graph.applies:
        op = node.op
        if isinstance(op, Scan) and (op.until or (in_region and op.n_steps is None)):
            return True
        if isinstance(op, TableOp) and (op.name == "nonzero" or (in_region and op.length_inputs(len(node.inputs)))):
            return True
        if any(_may_vary(region, in_region=True) for region in op.regions):
            return True
    return False
