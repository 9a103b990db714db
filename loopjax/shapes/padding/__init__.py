"""The pass ``pad``: axes of a length that varies from call to call get room for more, so that one program serves many
lengths."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from loopjax.errors import Source
from loopjax.ir.graph import Graph, Variable

if TYPE_CHECKING:
    from loopjax.shapes.padding.scope import Claim, Requirement


class Fallback(NamedTuple):
    """An op that needs an axis at its exact length; ``stage`` where it ends one, else it is compiled per length."""

    op: str
    sources: tuple[Source, ...]
    stage: bool


class InputAxis(NamedTuple):
    """An axis of an input of which calls give more or fewer rows."""

    variable: Variable
    axis: int


class Padded(NamedTuple):
    """A padded graph.

    Its last inputs are the counts of ``axes``; the host gives their variables room to spare, as much as the capacity
    in ``fine`` or coarse steps. Its last outputs are what ``claims`` say of the run, in their order. ``fallbacks`` are
    the ops that needed a length as it is, and ``exact`` those of what varies that such lengths depend on: a program is
    compiled for each of them all the same. ``requirements`` are checked before a call.
    """

    graph: Graph
    axes: tuple[InputAxis, ...]
    fine: bool
    fallbacks: tuple[Fallback, ...]
    exact: frozenset[Variable | InputAxis]
    claims: tuple[Claim, ...]
    requirements: tuple[Requirement, ...]


@dataclass(frozen=True)
class Pad:
    """Gives room to spare to axes whose length depends on ``values`` (inputs that calls give as numbers), on the sizes
    of ``axes``, or, with ``device``, on what only a run decides; ``differentiated`` where a derivative will be taken.

    What mixes rows is masked; where an op has no rule for that, the axis is cut to its length before it, which ends a
    stage or is compiled for each length. In the bodies of loops no stage can end, so there it is always done.
    """

    values: tuple[Variable, ...] = ()
    axes: tuple[InputAxis, ...] = ()
    device: bool = False
    differentiated: bool = False
    name: str = "pad"

    def __call__(self, graph: Graph) -> Graph:
        """The graph with room, every output cut to its length; then what it claims."""
        return self.padded(graph).graph

    def padded(self, graph: Graph) -> Padded:
        """The graph with room, and what a call must know of it."""
        # The rules are read at the first use: most of what is imported costs more than it.
        from loopjax.shapes.padding.walk import padded

        return padded(self, graph)
