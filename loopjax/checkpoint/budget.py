"""``Budget``: as many states as there is room for."""

from __future__ import annotations

from dataclasses import dataclass

from loopjax.checkpoint.nesting import least_recomputation, least_states
from loopjax.ir.schedule import Body, Nest, Schedule


@dataclass(frozen=True, kw_only=True)
class Budget(Schedule):
    """Stores at most so many ``states``, or states of so many ``bytes`` together, with the least recomputation.

    A state is all that a step hands to the next: the past values of every output that taps reach, shared variables
    that ``fn`` updates, sums over steps. States that exist at one time count, the running ones (one for each level of
    the nest) and the cotangent too; sequences, outputs, gradients and the values within one step do not.
    ``scan`` raises ``ValueError`` where a budget cannot be kept, with the least that can. With ``n`` steps that is
    about ``3 log2(n)`` states.

    Give one of both, an int of at least 1; ``ValueError`` otherwise.
    """

    states: int | None = None
    bytes: int | None = None

    def __post_init__(self) -> None:
        given = self.states if self.bytes is None else self.bytes
        both = self.states is not None and self.bytes is not None
        if both or isinstance(given, bool) or not isinstance(given, int) or given < 1:
            raise ValueError(
                f"Budget takes states= or bytes=, an int of at least 1; got states={self.states!r} and "
                f"bytes={self.bytes!r}"
            )

    def nest(self, n_steps: int, body: Body) -> Nest:
        states = self.states if self.states is not None else (self.bytes or 0) // max(body.state, 1)
        found = least_recomputation(n_steps, states)
        if found is not None:
            return found
        least = least_states(n_steps)
        if self.bytes is None:
            raise ValueError(f"a gradient of {n_steps} steps needs at least {least} states; {self} is too little")
        raise ValueError(
            f"a gradient of {n_steps} steps needs at least {least} states of {body.state} bytes, "
            f"{least * body.state} together; {self} is too little"
        )

    def __str__(self) -> str:
        return f"Budget(states={self.states})" if self.bytes is None else f"Budget(bytes={self.bytes})"
