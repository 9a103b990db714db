"""``from_pytensor``: LoopJAX variables for a PyTensor graph."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pytensor.graph.basic import Variable

from loopjax.errors import reported
from loopjax.ir.graph import Variable as LoopVariable
from loopjax.pytensor import batches, elementwise, indexing, inner_graphs, linear_algebra, loops, random, shapes  # noqa: F401
from loopjax.pytensor.conversion import Conversion, input_of
from loopjax.pytensor.rows import shared_sizes
from loopjax.runtime.mode import Mode

REWRITTEN = Mode().excluding("stabilize")
"""The mode for graphs that PyTensor has rewritten, which stabilizes them by its own rules. LoopJAX's go further and
cost more: ``log(exp(a) * (1 - p) + exp(b) * p)``, which PyTensor leaves, would become a ``logaddexp``."""


@dataclass(frozen=True)
class FromPyTensor:
    """LoopJAX variables for a PyTensor graph.

    Attributes
    ----------
    inputs : list of Variable
        One for each input, in their order.
    outputs : Variable or list of Variable
        One for each output, alone where one was asked for.
    updates : dict from SharedVariable to Variable
        The new values of LoopJAX's shared variables, for ``loopjax.function``.
    shared : dict
        From PyTensor's shared variables to those of LoopJAX, which start from their present values.
    fallbacks : Counter
        The ops without a rule, which run by PyTensor's own JAX implementation, with the number of their nodes.
    """

    inputs: list[LoopVariable]
    outputs: Any
    updates: dict[Any, LoopVariable]
    shared: dict[Variable, Any]
    fallbacks: Counter[str]


@reported
def from_pytensor(
    inputs: Sequence[Variable],
    outputs: Variable | Sequence[Variable],
    updates: Mapping[Variable, Variable] | None = None,
    givens: Mapping[Variable, LoopVariable] | None = None,
) -> FromPyTensor:
    """Return LoopJAX variables for a PyTensor graph.

    The graph may be a user's or what PyTensor's rewriting made of it, with gradients and loops of every form. Shared
    variables become shared variables of LoopJAX with copies of their values; their default updates, those of random
    generators among them, are kept. A generator becomes the data of a JAX key.

    Parameters
    ----------
    inputs : sequence of pytensor Variable
        The inputs, which may be inner variables of the graph.
    outputs : pytensor Variable or sequence of them
        What is to be computed.
    updates : dict, optional
        New values of PyTensor's shared variables.
    givens : dict, optional
        LoopJAX variables to take in the place of PyTensor variables.

    Returns
    -------
    FromPyTensor
        The variables, with ``updates``, ``shared`` and ``fallbacks``.

    Raises
    ------
    ConversionError
        A node has no rule and no JAX implementation, or a leaf of the graph is no input; the error names the node and
        the line that made it, where PyTensor kept it.

    Examples
    --------
    >>> import loopjax
    >>> import pytensor.tensor as pt
    >>> from loopjax.pytensor import from_pytensor
    >>> x = pt.dvector("x")
    >>> graph = from_pytensor([x], (x**2).sum())
    >>> f = loopjax.function(graph.inputs, [graph.outputs, loopjax.grad(graph.outputs, graph.inputs[0])])
    >>> f([1.0, 2.0])
    [array(5.), array([2., 4.])]
    """
    wanted = [outputs] if isinstance(outputs, Variable) else list(outputs)
    made = [input_of(variable) for variable in inputs]
    conversion = Conversion({**dict(zip(inputs, made, strict=True)), **(givens or {})})
    with shared_sizes():
        found = conversion.convert(wanted)
        updated = conversion.convert(list((updates or {}).values()))
        conversion.convert(list(updates or {}))
    news = {conversion.shared[variable]: new for variable, new in zip(updates or {}, updated, strict=True)}
    return FromPyTensor(
        made, found[0] if isinstance(outputs, Variable) else found, news, conversion.shared, conversion.fallbacks
    )
