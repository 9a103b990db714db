"""Graphs as text, a line per node and regions indented, and variables as expressions.

Texts of equal graphs are equal, so that tests of passes compare them: variables are numbered in topological order, and
names of inputs are made unique by a prime. ``pp`` writes an expression instead, such as ``sum((x + 1.))``, which is
exponential in the depth of a graph that reads values several times.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import escape
from typing import Any, Protocol, TextIO, runtime_checkable

import numpy as np

from loopjax.errors import here, reported
from loopjax.ir.autodiff import Differentiated
from loopjax.ir.graph import Apply, Constant, Graph, Op, Variable, ancestors
from loopjax.ir.index import IndexPattern
from loopjax.ir.op import TableOp
from loopjax.ir.public_ops import ops
from loopjax.ir.scan import Scan

INFIX = {
    "add": "+",
    "sub": "-",
    "mul": "*",
    "true_div": "/",
    "floor_div": "//",
    "mod": "%",
    "power": "**",
    "matmul": "@",
    "lt": "<",
    "le": "<=",
    "gt": ">",
    "ge": ">=",
    "and_": "&",
    "or_": "|",
    "xor": "^",
}


MOST_LINES = 100
"""Lines of a graph in a notebook at most."""


@runtime_checkable
class HasGraph(Protocol):
    """An object of one program, such as a compiled function."""

    @property
    def graph(self) -> Graph: ...


def graph_text(graph: Graph, sources: bool = False) -> str:
    """Return a graph as text, one node a line in topological order, the same for equal graphs."""
    return "\n".join(_lines(graph, "", "", sources))


def _lines(graph: Graph, indent: str, prefix: str, sources: bool) -> Iterator[str]:
    names: dict[Variable, str] = {}
    for position, variable in enumerate(graph.inputs):
        name = f"{prefix}{variable.name or f'in{position}'}"
        taken = {other for key, other in names.items() if key is not variable}
        names[variable] = name if name not in taken else f"{name}'{len(taken)}"
        yield f"{indent}input {names[variable]} : {variable.type}"
    for number, node in enumerate(graph.applies):
        label = f"%{prefix}{number}"
        for output in node.outputs:
            names[output] = label if len(node.outputs) == 1 else f"{label}:{output.index}"
        types = ", ".join(str(output.type) for output in node.outputs)
        lines = f"  # {', '.join(map(str, node.sources))}" if sources and node.sources else ""
        arguments = [_name(names, variable) for variable in node.inputs]
        yield f"{indent}{label} = {_op_text(node.op, arguments)}({', '.join(arguments)}) : {types}{lines}"
        for region in node.op.regions:
            yield from _lines(region, indent + "    ", f"{prefix}{number}.", sources)
    yield f"{indent}return {', '.join(_name(names, variable) for variable in graph.outputs)}"


def _name(names: Mapping[Variable, str], variable: Variable) -> str:
    if isinstance(variable, Constant):
        shown = np.array2string(variable.data, threshold=4, edgeitems=1, separator=", ")
        return shown if variable.ndim == 0 else f"{variable.dtype}{shown}"
    return names.get(variable, f"?{variable.name}")


def _op_text(op: Op, arguments: Sequence[str]) -> str:
    """Return an op with its parameters, an index as ``index[1:, i]``."""
    if isinstance(op, Scan):
        return _scan_text(op)
    if isinstance(op, Differentiated):
        return f"{op.name}[wrt={op.n_wrt + op.n_deltas}, costs={op.n_costs}]"
    if not isinstance(op, TableOp) or not op.params:
        return op.name
    if op.has("gather", "scatter"):
        return f"{op.name}[{_index_text(op, arguments)}]"
    return f"{op.name}[{', '.join(f'{key}={value}' for key, value in op.params)}]"


def _scan_text(op: Scan) -> str:
    parts = [f"steps={'value' if op.dynamic else 'length' if op.n_steps is None else op.n_steps}"]
    parts += [f"sequence{list(spec.taps)}" for spec in op.sequences]
    parts += [f"recurrence{list(spec.taps)} keeps {spec.saved}" for spec in op.recurrences]
    parts += [f"map keeps {spec.saved}" for spec in op.maps]
    parts += [f"{fold.kind} of {fold.output}" for fold in op.accumulators]
    parts += [f"states={op.n_states}"] * bool(op.n_states) + [f"keys={op.n_keys}"] * bool(op.n_keys)
    parts += ["until"] * op.until + ["backwards"] * op.go_backwards
    parts += [f"{op.recurrences[one.recurrence].name or 'state'} by {one.kind}" for one in op.linear]
    parts += [f"samples for {op.samples.steps} steps"] if op.samples is not None else []
    parts += [f"plan={op.plan.kind}"] if op.plan is not None else []
    return f"scan {op.label!r}[{', '.join(parts)}]"


@reported
def pp(variable: Variable) -> str:
    """Return a variable as an expression.

    Parameters
    ----------
    variable : Variable
        The variable. What it reads several times is written as often.

    Returns
    -------
    str
        The expression, with names of inputs.

    Raises
    ------
    TypeError
        ``variable`` is no variable.

    Examples
    --------
    >>> import loopjax
    >>> import loopjax.tensor as at
    >>> x = at.dvector("x")
    >>> loopjax.pp((x + 1).sum())
    'sum((x + 1.))'
    """
    if not isinstance(variable, Variable):
        raise TypeError(f"variable is {type(variable).__name__} {variable!r:.80}; expected a variable, write pp(x + 1)")
    texts: dict[Variable, str] = {}

    def text(read: Variable) -> str:
        if isinstance(read, Constant):
            return _name({}, read)
        return texts.get(read) or read.name or f"<{read.type}>"

    for node in Graph((), (variable,)).applies:
        for output in node.outputs:
            texts[output] = _expression(node, output, [text(read) for read in node.inputs])
    return text(variable)


def _expression(node: Apply, output: Variable, inputs: list[str]) -> str:
    name = node.op.name
    if name in INFIX and len(inputs) == 2:
        return f"({inputs[0]} {INFIX[name]} {inputs[1]})"
    if node.op.named("integer_pow"):
        return f"({inputs[0]} ** {node.op.arguments['exponent']})"
    if node.op.named("index"):
        return f"{inputs[0]}[{_index_text(node.op, inputs)}]"
    label = node.op.label if isinstance(node.op, Scan) else name
    which = f".{output.index}" if len(node.outputs) > 1 else ""
    return f"{label}({', '.join(inputs)}){which}"


def _index_text(op: Op, arguments: Sequence[str]) -> str:
    """Return an index in brackets; a bound that is an input is a question mark."""
    pattern: IndexPattern = op.arguments["pattern"]
    lengths = ["?" if length is None else length for length in op.arguments["lengths"]]
    arrays = arguments[len(arguments) - len(pattern.array_axes) :]
    return ", ".join(map(_entry_text, pattern.key(lengths, arrays)))


def _entry_text(entry: Any) -> str:
    if not isinstance(entry, slice):
        return str(entry)
    bounds = ["" if bound is None else str(bound) for bound in (entry.start, entry.stop, entry.step)]
    return ":".join(bounds if bounds[2] else bounds[:2])


@reported
def dprint(what: Variable | Iterable[Variable] | Graph | HasGraph, file: TextIO | None = None) -> None:
    """Print a graph: a line per node, with its type and the user's lines.

    Parameters
    ----------
    what : Variable, iterable of Variable, Graph or Function
        The outputs of the graph, the graph itself, or a compiled function, whose graph is printed after rewriting.
    file : text file, optional
        Where to print; ``sys.stdout`` by default.

    Returns
    -------
    None

    Raises
    ------
    TypeError
        ``what`` is none of those.

    Examples
    --------
    >>> import loopjax
    >>> import loopjax.tensor as at
    >>> x = at.dvector("x")
    >>> loopjax.dprint((x + 1).sum())  # doctest: +ELLIPSIS
    input x : float64(?,)
    %0 = add(x, 1.) : float64(?,)...
    %1 = sum[axis=(0,), dtype=float64, keepdims=False](%0) : float64()...
    return %1
    """
    listed = isinstance(what, (list, tuple)) and all(isinstance(one, Variable) for one in what)
    if not listed and not isinstance(what, (Variable, Graph, HasGraph)):
        raise TypeError(
            f"what is {type(what).__name__} {what!r:.80}; expected a variable, a list of them or a function, "
            f"write dprint(x + 1)"
        )
    if file is not None and not hasattr(file, "write"):
        raise TypeError(f"file is {type(file).__name__} {file!r:.80}; expected a text file, write sys.stdout{here()}")
    print(graph_text(_graph(what), sources=True), file=file)


def _graph(what: Variable | Iterable[Variable] | Graph | HasGraph) -> Graph:
    if isinstance(what, Graph):
        return what
    if isinstance(what, HasGraph):
        return what.graph
    outputs = [what] if isinstance(what, Variable) else list(what)
    return Graph([variable for variable in ancestors(outputs) if not isinstance(variable, Constant)], outputs)


def graph_html(what: Variable | HasGraph) -> str:
    """Return the ``repr`` of a variable or a function as HTML, which opens to the first lines of its graph."""
    lines = graph_text(_graph(what), sources=True).splitlines()
    if len(lines) > MOST_LINES + 1:
        lines[MOST_LINES:] = [f"and {len(lines) - MOST_LINES} more lines, which loopjax.dprint prints"]
    text = escape("\n".join(lines))
    return f"<details><summary><code>{escape(repr(what))}</code></summary><pre>{text}</pre></details>"


ops.register(graph_html)
