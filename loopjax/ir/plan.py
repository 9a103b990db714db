"""The plan of a loop: how it is lowered, as the last sized pass decided."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from loopjax.ir.graph import Graph
from loopjax.ir.schedule import Nest


class History(NamedTuple):
    """The last ``size`` values of an output, which are read at ``taps``.

    In plain carries (``window``), in a ``ring``, or in ``blocks``: the last ``near`` of them in plain carries and all
    as rows that are read and renewed once for so many steps as no further tap reaches into.
    """

    kind: Literal["window", "ring", "blocks"]
    size: int
    taps: tuple[int, ...]
    near: int = 0

    @property
    def far(self) -> tuple[int, ...]:
        """The taps behind the plain carries of ``blocks``."""
        return tuple(tap for tap in self.taps if -tap > self.near)


class LinearRecurrence(NamedTuple):
    """A recurrence whose next value is ``factor`` times its last one plus ``term``.

    Of recurrence number ``recurrence``; ``plus`` and ``times`` are rows of the op table, or ``times`` is the side,
    ``left`` or ``right``, from which a matrix multiplies. ``coefficients`` takes the body's inputs to factor and term,
    each where it has one. Without ``plus``, the value is the term alone. ``last``: the last value is all that is read.
    """

    recurrence: int
    plus: str
    times: str
    coefficients: Graph
    has_factor: bool
    has_term: bool
    last: bool = False


class BlockSamples(NamedTuple):
    """What steps draw, for so many ``steps`` at once.

    ``draws`` takes the body's inputs to what one step draws, of its keys and of non-sequences; ``body`` takes them, and
    behind them what was drawn, to what a step gives.
    """

    draws: Graph
    body: Graph
    steps: int


@dataclass(frozen=True)
class LoopPlan:
    """How a loop is lowered, decided once by the last sized rewrite.

    ``kind``: ``empty``, ``inline`` (one step), ``vmap``, ``batched`` (``vmap`` of ``batch`` steps at a time),
    ``parallel`` (recurrences as the ``linear`` ones say, by parallel scans, and the rest of all steps at once),
    ``scan``, ``counted`` (a ``while`` of known length, over buffers), ``while``, or ``tree``, whose nodes have as many
    children as ``levels`` says, from the root down; no derivative flows to the inputs that are ``fixed``. ``unroll``:
    steps per iteration. ``rows``: how these write to stacks: each for itself (``apart``); one block for all
    (``grouped``); or one block when all rows are computed (``finished``). ``storage``: how each output's past values
    are held. ``checkpoint``: how the loop is nested to store few states for the gradient, ``None`` where each step
    stores what it computes; a state is ``state_bytes`` long. ``frozen``: steps at the beginning that no gradient
    reaches. ``report``: steps between words to a progress bar, 0 for none. ``derivative``: which one encloses the loop:
    ``none``, ``forward`` (one that runs along with it), ``reverse`` (of any order) or ``any``. ``block``: steps from
    one renewal of ``blocks`` to the next, 0 for none. ``drawn``: what is drawn for several steps at once. ``flops`` and
    ``bytes`` are an estimate of what a step computes and touches. ``reason`` says why, for ``explain``.
    """

    kind: Literal["empty", "inline", "vmap", "batched", "parallel", "scan", "counted", "while", "tree"]
    unroll: int = 1
    rows: Literal["apart", "grouped", "finished"] = "apart"
    storage: tuple[History, ...] = ()
    checkpoint: Nest | None = None
    state_bytes: int = 0
    frozen: int = 0
    derivative: Literal["none", "forward", "reverse", "any"] = "none"
    batch: int = 0
    report: int = 0
    levels: tuple[int, ...] = ()
    fixed: tuple[bool, ...] = ()
    block: int = 0
    linear: tuple[LinearRecurrence, ...] = ()
    flops: int = field(default=0, compare=False)
    bytes: int = field(default=0, compare=False)
    drawn: BlockSamples | None = None
    reason: str = field(default="", compare=False)
