"""Which states of a loop are stored for its gradient: what a user may ask for, and the nest of loops that follows."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from loopjax.errors import Source, where

Policy = Callable[..., Any]
"""A ``jax.checkpoint`` policy: from a primitive and its operands to whether its result may be stored."""


@dataclass(frozen=True)
class Box:
    """Loops in each other, of ``sizes`` iterations, the outermost first; the innermost one runs single steps.

    Each level stores the state before each of its iterations, and computes an iteration again for its gradient.
    ``apart``: the last of the innermost steps is compiled apart. Nobody needs the state after it when the steps are
    computed again, and of a loop XLA would compute it like the others.
    """

    sizes: tuple[int, ...]
    apart: bool = False

    @property
    def n_steps(self) -> int:
        return math.prod(self.sizes)

    @property
    def recomputed(self) -> int:
        """Steps that are computed again, each as often as it is."""
        spared = self.n_steps // self.sizes[-1] if self.apart else 0
        return len(self.sizes) * self.n_steps - spared

    def __str__(self) -> str:
        *outer, last = [str(size) for size in self.sizes]
        return " x ".join([*outer, f"({self.sizes[-1] - 1} + 1)" if self.apart else last])


@dataclass(frozen=True)
class Nest:
    """How a loop of static length is split for its gradient: ``boxes``, one after the other.

    ``keep`` says what each step stores beside the state: ``nothing``, the ``products`` that the plan has marked, or
    what a policy of ``jax.checkpoint`` says.
    """

    boxes: tuple[Box, ...]
    keep: Literal["nothing", "products"] | Policy = "nothing"

    @property
    def n_steps(self) -> int:
        return sum(box.n_steps for box in self.boxes)

    @property
    def flat(self) -> bool:
        """Whether it is one loop that stores every state."""
        return len(self.boxes) == 1 and len(self.boxes[0].sizes) == 1

    @property
    def states(self) -> int:
        """The most states that exist at one time: those stored by all levels, one that runs in each, one between
        boxes, two around a step apart, and the cotangent. What else a step stores does not count."""
        most, stored = 0, 0
        for box in self.boxes:
            stored += box.sizes[0]
            most = max(most, stored + sum(box.sizes[1:]) + len(box.sizes) + 1 + 2 * box.apart)
        return most + len(self.boxes) - 1

    @property
    def recomputed(self) -> int:
        """Steps that are computed again, each as often as it is."""
        return sum(box.recomputed for box in self.boxes)

    def __str__(self) -> str:
        return " + ".join(str(box) for box in self.boxes)


@dataclass(frozen=True)
class Body:
    """What a schedule is told of a loop: bytes of the ``state`` that a step hands on."""

    state: int


class Schedule:
    """What ``scan(checkpoint=)`` takes: subclasses are frozen dataclasses in ``loopjax.checkpoint``."""

    def nest(self, n_steps: int, body: Body) -> Nest:
        """The nest for so many steps, at least 1. Raises ``ValueError`` where there is none, with the numbers."""
        raise NotImplementedError


@dataclass(frozen=True)
class PolicySchedule(Schedule):
    """Every state stored, and of what each step computes that which a ``jax.checkpoint`` policy says."""

    policy: Policy

    def nest(self, n_steps: int, body: Body) -> Nest:
        return Nest((Box((n_steps,)),), self.policy)

    def __str__(self) -> str:
        return f"policy {getattr(self.policy, '__name__', self.policy)}"


S = TypeVar("S", bound=Callable[..., Schedule])

NAMED: dict[str, Callable[..., Schedule]] = {}
"""The schedules that a word stands for, and ``every`` for an int."""


def named(word: str) -> Callable[[S], S]:
    """Registers a schedule under a word; raises ``ValueError`` where it is taken."""

    def add(schedule: S) -> S:
        if word in NAMED:
            raise ValueError(f"schedule {word!r} is registered already")
        NAMED[word] = schedule
        return schedule

    return add


def read_checkpoint(value: Any, label: str, place: Sequence[Source]) -> Schedule | None:
    """The schedule that a user's ``checkpoint`` means."""
    if value is None or isinstance(value, Schedule):
        return value
    if isinstance(value, int) and not isinstance(value, bool) and value >= 1:
        return NAMED["every"](value)
    if isinstance(value, str) and value in NAMED and value != "every":
        return NAMED[value]()
    if callable(value) and not isinstance(value, type):
        return PolicySchedule(value)
    words = ", ".join(repr(word) for word in NAMED if word != "every")
    raise ValueError(
        f"scan {label!r}: checkpoint is an int of at least 1, {words}, Every or Budget from loopjax.checkpoint, or a "
        f"policy of jax.checkpoint; got {value!r}{where(place)}"
    )
