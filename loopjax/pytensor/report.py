"""``report``: what would run of a PyTensor graph or a PyMC model, and how its loops are lowered."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from pytensor.compile.sharedvalue import SharedVariable
from pytensor.graph.basic import Apply, Variable
from pytensor.graph.traversal import applys_between, graph_inputs

from loopjax.ir.graph import Variable as LoopVariable
from loopjax.pytensor.conversion import ConversionError, failure, op_name, rule_of
from loopjax.pytensor.dispatch import dispatch_of
from loopjax.pytensor.from_pytensor import from_pytensor
from loopjax.report.explain import explain
from loopjax.runtime.function import function
from loopjax.trace.grad import grad


@dataclass(frozen=True)
class GraphReport:
    """Ops of a graph by who runs them, and its loops.

    Attributes
    ----------
    name : str
        The name of the model or function.
    rules, fallbacks : Counter
        The ops that LoopJAX and PyTensor's JAX implementation would run, with the number of their nodes.
    refused : list of str
        For each node that cannot run, the reason and the line that made it.
    loops : str
        What ``loopjax.explain`` says of the compiled program; the error where there is none.
    """

    name: str
    rules: Counter[str] = field(default_factory=Counter)
    fallbacks: Counter[str] = field(default_factory=Counter)
    refused: list[str] = field(default_factory=list)
    loops: str = ""

    def __str__(self) -> str:
        lines = [f"{self.name}: {self.rules.total()} ops by LoopJAX, {self.fallbacks.total()} by PyTensor's JAX "]
        lines[0] += f"implementation, {len(self.refused)} refused"
        lines += [f"  by PyTensor: {name} x {count}" for name, count in self.fallbacks.items()]
        return "\n".join([*lines, *(f"  refused: {reason}" for reason in self.refused), self.loops])


def report(subject: Any, outputs: Variable | Sequence[Variable] | None = None) -> GraphReport:
    """Report how LoopJAX would run a PyMC model, a PyTensor function or a graph.

    Parameters
    ----------
    subject : pymc.Model, pytensor Function, or sequence of Variable
        A model, whose log density and gradient are reported; a function; or the inputs of a graph.
    outputs : pytensor Variable or sequence of them, optional
        The outputs of a graph, for which ``subject`` is its inputs.

    Returns
    -------
    GraphReport
        The ops and loops, printed by ``print``.

    Raises
    ------
    None.

    Examples
    --------
    >>> import pytensor.tensor as pt
    >>> from loopjax.pytensor import report
    >>> x = pt.dvector("x")
    >>> print(report([x], [(x**2).sum()]))
    graph: 3 ops by LoopJAX, 0 by PyTensor's JAX implementation, 0 refused
    graph: 1 stage, 0 loops
    """
    if hasattr(subject, "value_vars"):
        return _of_graph(subject.name or "model", list(subject.value_vars), [subject.logp()], differentiated=True)
    if outputs is None:
        inner = subject.maker.fgraph
        return _of_graph(subject.name or "function", list(inner.inputs), list(inner.outputs))
    wanted = [outputs] if isinstance(outputs, Variable) else list(outputs)
    return _of_graph("graph", list(subject), wanted)


def _of_graph(
    name: str, inputs: Sequence[Variable], outputs: Sequence[Variable], differentiated: bool = False
) -> GraphReport:
    found = GraphReport(name)
    for node in _nodes(inputs, outputs):
        if rule_of(node.op) is not None:
            found.rules[op_name(node.op)] += 1
        elif isinstance(reason := dispatch_of(node), Exception):
            found.refused.append(str(failure(node, f"it has no rule and no JAX implementation: {reason}")))
        else:
            found.fallbacks[op_name(node.op)] += 1
    return GraphReport(name, found.rules, found.fallbacks, found.refused, _loops(name, inputs, outputs, differentiated))


def _loops(name: str, inputs: Sequence[Variable], outputs: Sequence[Variable], differentiated: bool) -> str:
    try:
        graph = from_pytensor(inputs, list(outputs))
        wanted: list[LoopVariable] = list(graph.outputs)
        if differentiated:
            wanted += grad(wanted[0], graph.inputs, disconnected_inputs="ignore")
        return str(explain(function(graph.inputs, wanted, name=name, on_unused_input="ignore")))
    except (ConversionError, TypeError, ValueError, IndexError, NotImplementedError) as error:
        return f"  not compiled: {error}"


def _nodes(inputs: Sequence[Variable], outputs: Sequence[Variable]) -> Iterator[Apply]:
    """The nodes of a graph and of the graphs of its loops."""
    leaves = [one for one in graph_inputs(outputs) if isinstance(one, SharedVariable)]
    for node in applys_between([*inputs, *leaves], outputs):
        yield node
        inner = getattr(node.op, "fgraph", None) or getattr(getattr(node.op, "core_op", None), "fgraph", None)
        if inner is not None:
            yield from _nodes(inner.inputs, inner.outputs)
