"""The plan of a loop: how ``lower/`` runs it.

``rewrite/plan.py`` writes it as the last decision about a loop; ``lower/`` obeys it, ``explain`` prints it. A plan
holds numbers and names, never a graph: every graph of a loop is a region of its ``Scan``, where the verifier and the
rewrite driver see it.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Literal, NamedTuple

from loopjax.ir.schedule import Nest

Kind = Literal["empty", "inline", "vmap", "batched", "associative", "scan", "counted", "while", "stored_while"]


class History(NamedTuple):
    """Storage of the last ``size`` values of an output, which later steps read at ``taps``.

    A ``window`` is one carry for each value, an ``array`` one for all. A ``ring`` is a circular buffer. A ``stack``
    holds the first ``size`` rows and those of all ``steps``, which are the output, and past values are read from it.
    ``blocks`` holds the last ``near`` values as a window and all of them as rows, which a block of steps reads as a
    sequence and which are renewed after it: a block is so short that no far tap reads a value of the block itself.
    ``shifted`` is for a state that is a window itself, an array which each step shifts by a row: its rows are in a
    stack of all ``steps``.
    """

    kind: Literal["window", "array", "ring", "stack", "blocks", "shifted"]
    size: int
    taps: tuple[int, ...]
    near: int = 0
    steps: int = 0

    @property
    def runs(self) -> list[range]:
        """Adjacent taps as ranges, the oldest first."""
        found: list[range] = []
        for tap in sorted(set(self.taps)):
            start = found.pop().start if found and found[-1].stop == tap else tap
            found.append(range(start, tap + 1))
        return found

    @property
    def far(self) -> tuple[int, ...]:
        """The taps that reach further back than the window of ``blocks``."""
        return tuple(tap for tap in self.taps if -tap > self.near)

    def __str__(self) -> str:
        return f"{self.kind} of {self.size}"


@dataclass(frozen=True)
class LoopPlan:
    """The lowering of one loop.

    Attributes
    ----------
    kind
        ``empty``: no steps. ``inline``: one step. ``vmap``: all steps at once; ``batched``: ``batch`` steps at once.
        ``associative``: recurrences by ``lax.associative_scan`` over the coefficients in ``Scan.linear``, the rest of
        all steps at once. ``scan``: ``lax.scan``. ``counted``: a ``while_loop`` of known length that writes to buffers.
        ``while``: a ``while_loop``. ``stored_while``: one that stores residuals, and one over these as its gradient
        (``lower/loops/dynamic_scan.py``).
    unroll
        Steps per iteration.
    rows
        How the steps of an iteration write to stacks: each its own row (``apart``); one block of rows for all
        (``grouped``); one block, after all rows are computed (``finished``).
    lockstep
        True for a ``while`` loop whose length differs between the steps of a ``vmap`` loop around it: all of them
        advance together, as many steps as the longest has, and those that have ended are predicated.
    storage
        Storage of the past values of each output.
    checkpoint
        Nesting of the loop so that few states are stored for the gradient; ``None`` where each step stores its
        residuals. ``state_bytes`` is the size of one state.
    frozen
        Leading steps that no gradient reaches.
    derivative
        The derivative that encloses the loop: ``none``, ``forward``, ``reverse`` (of any order) or ``any``.
    report
        Steps between two updates of a progress bar; 0 for none.
    block
        Steps between two renewals of ``blocks``; 0 for none.
    sampled
        Steps whose random draws are made at once (``Scan.samples``); 0 for none.
    summed
        ``vmap``: places, among the non-sequences, of arrays whose gradient is a product of a vector of ones with the
        rows of all steps.
    flops, bytes
        Estimates of what a step computes and touches.
    reason
        The reason for the kind, for ``explain``.
    """

    kind: Kind
    unroll: int = 1
    rows: Literal["apart", "grouped", "finished"] = "apart"
    lockstep: bool = False
    storage: tuple[History, ...] = ()
    checkpoint: Nest | None = None
    state_bytes: int = 0
    frozen: int = 0
    derivative: Literal["none", "forward", "reverse", "any"] = "none"
    batch: int = 0
    report: int = 0
    block: int = 0
    sampled: int = 0
    summed: tuple[int, ...] = ()
    flops: int = field(default=0, compare=False)
    bytes: int = field(default=0, compare=False)
    reason: str = field(default="", compare=False)

    def __str__(self) -> str:
        """The kind and all that differs from the default, estimates aside: ``scan, unroll=8, storage=window of 1``."""
        told = [one for one in fields(self) if one.compare and one.name != "kind"]
        found = [(one.name, getattr(self, one.name)) for one in told if getattr(self, one.name) != one.default]
        return ", ".join([self.kind, *(f"{name}={_text(value)}" for name, value in found)])


def _text(value: object) -> str:
    return " x ".join(map(str, value)) if isinstance(value, tuple) else str(value)
