"""Checkpointing schedules: which states of a loop are stored for its gradient, and the nest of loops that follows.

Reverse mode needs the state before each step. Storing them all takes memory in proportion to the number of steps;
splitting the loop into nested loops that store states at their own iterations only, and recompute the steps in between
(``jax.checkpoint``), trades it for time (Griewank and Walther 2000). A ``Schedule`` is what a user asks for; its
``nest`` gives the loops for a number of steps and the size of a state. ``checkpoint/`` has the schedules.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from loopjax.errors import Source, coded, where

Policy = Callable[..., Any]
"""A policy of ``jax.checkpoint``: given a primitive and its operands, may its result be stored?"""


@dataclass(frozen=True)
class Box:
    """Perfectly nested loops of ``sizes`` iterations, the outermost first; the innermost runs single steps.

    Each loop stores the state before each of its iterations, and recomputes an iteration for its gradient.
    ``apart``: the last of the innermost steps is compiled outside of the innermost loop. Nothing reads the state after
    it when the steps are recomputed, but as an iteration of a loop XLA would compute it like the others.
    """

    sizes: tuple[int, ...]
    apart: bool = False

    @property
    def n_steps(self) -> int:
        return math.prod(self.sizes)

    @property
    def recomputed(self) -> int:
        """The number of recomputed steps, each counted as often as it is."""
        spared = self.n_steps // self.sizes[-1] if self.apart else 0
        return len(self.sizes) * self.n_steps - spared

    def __str__(self) -> str:
        *outer, last = [str(size) for size in self.sizes]
        return " x ".join([*outer, f"({self.sizes[-1] - 1} + 1)" if self.apart else last])


@dataclass(frozen=True)
class Nest:
    """The split of a loop of static length for its gradient: ``boxes``, one after the other.

    ``keep`` says what each step stores besides the state: ``nothing``, the ``products`` that the plan has marked, or
    what a policy of ``jax.checkpoint`` says.
    """

    boxes: tuple[Box, ...]
    keep: Literal["nothing", "products"] | Policy = "nothing"

    @property
    def n_steps(self) -> int:
        return sum(box.n_steps for box in self.boxes)

    @property
    def flat(self) -> bool:
        """True for one loop that stores every state."""
        return len(self.boxes) == 1 and len(self.boxes[0].sizes) == 1

    @property
    def states(self) -> int:
        """The most states that exist at one time.

        States stored by all loops, a running one in each, one between boxes, two around a step compiled apart, and the
        cotangent; other values that a step stores are not counted.
        """
        most, stored = 0, 0
        for box in self.boxes:
            stored += box.sizes[0]
            most = max(most, stored + sum(box.sizes[1:]) + len(box.sizes) + 1 + 2 * box.apart)
        return most + len(self.boxes) - 1

    @property
    def recomputed(self) -> int:
        """The number of recomputed steps, each counted as often as it is."""
        return sum(box.recomputed for box in self.boxes)

    def __str__(self) -> str:
        return " + ".join(str(box) for box in self.boxes)


@dataclass(frozen=True)
class Body:
    """The properties of a loop that a schedule may use: the bytes of the ``state`` that a step passes to the next."""

    state: int


class Schedule:
    """Base of what ``scan(checkpoint=)`` takes; subclasses are frozen dataclasses in ``loopjax.checkpoint``."""

    def nest(self, n_steps: int, body: Body) -> Nest:
        """Return the nest for ``n_steps``, at least 1; raise ``ValueError`` where there is none."""
        raise NotImplementedError


@dataclass(frozen=True)
class PolicySchedule(Schedule):
    """Every state is stored, and of each step's values what a policy of ``jax.checkpoint`` says."""

    policy: Policy

    def nest(self, n_steps: int, body: Body) -> Nest:
        return Nest((Box((n_steps,)),), self.policy)

    def __str__(self) -> str:
        return f"policy {getattr(self.policy, '__name__', self.policy)}"


S = TypeVar("S", bound=Callable[..., Schedule])

NAMED: dict[str, Callable[..., Schedule]] = {}
"""Schedules by the word that ``checkpoint=`` takes; ``every`` stands for an int."""


def named(word: str) -> Callable[[S], S]:
    """Register a schedule under a word; raise ``ValueError`` where the word is taken."""

    def add(schedule: S) -> S:
        if word in NAMED:
            raise ValueError(f"schedule {word!r} is registered already")
        NAMED[word] = schedule
        return schedule

    return add


def read_checkpoint(value: Any, label: str, sources: Sequence[Source]) -> Schedule | None:
    """Return the schedule for a user's ``checkpoint`` argument, ``None`` where the plan is to choose."""
    if value is None or isinstance(value, Schedule):
        return value
    if isinstance(value, int) and not isinstance(value, bool) and value >= 1:
        return NAMED["every"](value)
    if isinstance(value, str) and value in NAMED and value != "every":
        return NAMED[value]()
    if callable(value) and not isinstance(value, type):
        return PolicySchedule(value)
    words = ", ".join(repr(word) for word in NAMED if word != "every")
    raise coded(ValueError, "LJ117")(
        f"scan {label!r}: checkpoint is an int of at least 1, {words}, Every or Budget from loopjax.checkpoint, or a "
        f"policy of jax.checkpoint; got {value!r}; write 'sqrt'{where(sources)}"
    )
