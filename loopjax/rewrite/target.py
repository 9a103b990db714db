"""What a program is rewritten for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple, TypeVar

from loopjax.trace.derivative import Differentiated, Linearize
from loopjax.trace.op import Op

Derivative = Literal["none", "forward", "reverse", "any"]
"""What JAX may take of a graph, with respect to all of its inputs."""


REWRITES = {
    "merge": "equal nodes become one",
    "terms": "what reductions over steps read elementwise of a loop is computed in it",
    "fold": "reductions over the steps of a loop of known length are gathered in its carry",
    "fewer": "steps at the end of a loop that nobody reads are not run",
    "keep": "of a stack that is read at its end, the last steps alone are kept",
    "windows": "of a stack that is read in part, those steps alone are kept",
    "inside": "what is read of a stack beside its gradient is read where the loop runs",
    "ranges": "a range that a loop reads is counted in its carry",
    "constants": "what is known before a program runs is computed when it is rewritten",
    "prune": "equal, fixed and unread parts of loops are dropped, what no step changes moves out",
    "fuse": "independent loops of one length become one",
    "pack": "many small states that are computed alike become one",
    "logspace": "sums of exponentials over a matrix that no step changes are products",
    "join": "products of a body that share an operand become one",
    "hoist": "work that no step decides, draws too, is done for all steps at once, or for many",
    "sink": "work that no later step reads is done behind the loop, for all steps at once",
    "spell": "products of tiny matrices in a body are sums of elementwise products",
    "pair": "two states that share work are the parts of one complex state",
    "tile": "loops over many elements that never meet run for a part of them after the other",
    "search": "sorted vectors are searched without a loop, on a GPU",
    "defer": "the gradient of a matrix is one product behind the backward loop",
    "vmap": "loops whose steps need no other run all at once",
    "linear": "linear recurrences are parallel scans, where steps one after the other are slow: not on a CPU",
    "unroll": "several steps an iteration",
    "recompute": "what is cheap is computed again for the gradient, not stored",
    "blocks": "far taps under a derivative are read in blocks",
}
"""What may be left out, and what it does. The other passes are what a program needs to run."""

Value = bool | int
"""What a choice comes to: whether to do a thing, or how many."""

V = TypeVar("V", bound=Value)


class Made(NamedTuple):
    """A choice that a rewrite has made by size: of what, what it came to, and what else it could have been."""

    subject: str
    value: Value
    others: tuple[Value, ...]


@dataclass(frozen=True)
class Target:
    """What a sized program is compiled for: the backend it runs on, and what may be done to it.

    ``derivative`` may be taken of all of it by JAX. ``check_index``: an index out of bounds must be noticed.
    ``reassociate``: sums and products over steps may be taken in another order. ``without``: the rewrites that are left
    out, by name. ``draws_apart``: a key draws the same whatever others draw beside it, as JAX promises of threefry
    alone. ``forced``: what choices come to, whatever the sizes. ``made``: the choices of one run of the passes, which
    note them here by name and number.
    """

    backend: str = "cpu"
    derivative: Derivative = "none"
    check_index: bool = False
    reassociate: bool = False
    without: frozenset[str] = frozenset()
    draws_apart: bool = True
    forced: tuple[tuple[str, Value], ...] = ()
    made: dict[str, Made] = field(default_factory=dict, compare=False, repr=False)

    def __contains__(self, rewrite: str) -> bool:
        """Whether a rewrite is wanted."""
        return rewrite not in self.without

    @property
    def on_cpu(self) -> bool:
        """Whether the backend is the CPU. Elsewhere what a step costs is to launch its kernels, not what they do."""
        return self.backend == "cpu"

    def around(self, op: Op) -> Target:
        """That of the regions of an op."""
        return replace(self, derivative=within(op, self.derivative)) if isinstance(op, Differentiated) else self

    def choice(self, name: str, by_size: V, others: Sequence[V] | None = None, subject: str = "") -> V:
        """What a rewrite decides by size, unless it is forced to one of the ``others``: yes or no unless given.

        ``mode="tune"`` measures those. Choices of one ``name`` are told apart by their numbers, as in "unroll 1";
        ``subject`` is of what they are, for ``explain``.
        """
        number = 1 + sum(key.rpartition(" ")[0] == name for key in self.made)
        key = f"{name} {number}"
        options: list[V] = [by_size, *((True, False) if others is None else others)]
        forced = dict(self.forced).get(key, by_size)
        value = next((option for option in options if option == forced), by_size)
        self.made[key] = Made(subject, value, tuple(dict.fromkeys(option for option in options if option != value)))
        return value


def within(op: Differentiated, derivative: Derivative) -> Derivative:
    """The derivative that encloses the region of an op which ``derivative`` encloses."""
    if isinstance(op, Linearize):
        return "reverse" if derivative in ("none", "reverse") else "any"
    return "forward" if derivative in ("none", "forward") else "any"
