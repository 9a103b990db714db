"""What a program is rewritten for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from loopjax.trace.derivative import Differentiated, Linearize

Derivative = Literal["none", "forward", "reverse", "any"]
"""What JAX may take of a graph, with respect to all of its inputs."""


REWRITES = {
    "merge": "equal nodes become one",
    "fold": "reductions over the steps of a loop of known length are gathered in its carry",
    "fewer": "steps at the end of a loop that nobody reads are not run",
    "keep": "of a stack that is read at its end, the last steps alone are kept",
    "windows": "of a stack that is read in part, those steps alone are kept",
    "inside": "what is read of a stack beside its gradient is read where the loop runs",
    "ranges": "a range that a loop reads is counted in its carry",
    "join": "products of a body that share an operand become one",
    "hoist": "work on sequences alone is done before the loop, for all steps at once",
    "sink": "work that no later step reads is done behind the loop, for all steps at once",
    "defer": "the gradient of a matrix is one product behind the backward loop",
    "vmap": "loops whose steps need no other run all at once",
    "unroll": "several steps an iteration",
    "recompute": "what is cheap is computed again for the gradient, not stored",
    "blocks": "far taps under a derivative are read in blocks",
}
"""What may be left out, and what it does. The other passes are what a program needs to run."""


@dataclass(frozen=True)
class Target:
    """What a sized program is compiled for: the backend it runs on, and what may be done to it.

    ``derivative`` may be taken of all of it by JAX. ``check_index``: an index out of bounds must be noticed.
    ``reassociate``: sums and products over steps may be taken in another order. ``without``: the rewrites that are left
    out, by name.
    """

    backend: str = "cpu"
    derivative: Derivative = "none"
    check_index: bool = False
    reassociate: bool = False
    without: frozenset[str] = frozenset()

    def __contains__(self, rewrite: str) -> bool:
        """Whether a rewrite is wanted."""
        return rewrite not in self.without


def within(op: Differentiated, derivative: Derivative) -> Derivative:
    """The derivative that encloses the region of an op which ``derivative`` encloses."""
    if isinstance(op, Linearize):
        return "reverse" if derivative in ("none", "reverse") else "any"
    return "forward" if derivative in ("none", "forward") else "any"
