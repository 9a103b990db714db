"""The request for padding and its result."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from loopjax.errors import Source
from loopjax.ir.graph import Graph, Variable
from loopjax.shapes.preconditions import Precondition, RuntimeAssertion


class ExactLengthOp(NamedTuple):
    """An op that needs an axis at its exact length: a stage ends before it (``ends_stage``), or else the program is
    compiled for each length."""

    op: str
    sources: tuple[Source, ...]
    ends_stage: bool


class InputAxis(NamedTuple):
    """An axis of an input whose size differs from call to call."""

    variable: Variable
    axis: int


@dataclass(frozen=True)
class Padding:
    """The lengths to pad: those that depend on ``values`` (inputs that calls give as numbers), on the sizes of
    ``axes``, or, with ``device``, on what only a run decides.

    ``differentiated``: JAX will differentiate the program, so that its loops must have a reverse mode. ``inlined``: it
    is part of a JAX program, where no ``IndexError`` can be raised, and what is read out of bounds is NaN.
    """

    values: tuple[Variable, ...] = ()
    axes: tuple[InputAxis, ...] = ()
    device: bool = False
    differentiated: bool = False
    inlined: bool = False


class Padded(NamedTuple):
    """A padded graph and what a call of it must know.

    The graph's last inputs are the lengths of ``axes``; a call pads these axes to the ``capacity`` in ``fine`` or
    coarse steps. Its last outputs are the truth values of ``assertions``, in their order; ``preconditions`` are checked
    before the call. ``exact_ops`` need a length as it is, and ``exact_inputs`` are the inputs and axes on which such a
    length depends: padding them is useless, since a program is compiled for each of their lengths all the same.
    """

    graph: Graph
    axes: tuple[InputAxis, ...] = ()
    fine: bool = False
    exact_ops: tuple[ExactLengthOp, ...] = ()
    exact_inputs: frozenset[Variable | InputAxis] = frozenset()
    assertions: tuple[RuntimeAssertion, ...] = ()
    preconditions: tuple[Precondition, ...] = ()
