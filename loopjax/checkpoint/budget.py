"""``Budget``: the least recomputation within a bound on memory."""

from __future__ import annotations

from dataclasses import dataclass

from loopjax.checkpoint.nesting import least_recomputation, least_states
from loopjax.errors import coded
from loopjax.ir.schedule import Body, Nest, Schedule


@dataclass(frozen=True, kw_only=True)
class Budget(Schedule):
    """At most a number of states, or states of a number of bytes, with the least recomputation.

    A state is all that a step passes to the next: the past values of every output that taps reach, shared variables
    that ``fn`` updates, sums over steps. All states that exist at one time count, also the running ones (one for each
    loop of the nest) and the cotangent; sequences, outputs, gradients and the values within one step do not. ``scan``
    raises ``ValueError`` where a budget cannot be kept, with the least that can: about ``3 log2(n)`` states for ``n``
    steps.

    Parameters
    ----------
    states : int, optional
        The most states, at least 1.
    bytes : int, optional
        The most bytes of all states together, at least 1. One of the two is given.

    Raises
    ------
    ValueError
        Both are given or none, or the one given is no int of at least 1.

    Examples
    --------
    >>> import loopjax
    >>> from loopjax.checkpoint import Budget
    >>> h, _ = loopjax.scan(lambda h: 2 * h, outputs_info=1.0, n_steps=100, checkpoint=Budget(states=25))
    >>> int(h[-1].eval()) == 2**100
    True
    """

    states: int | None = None
    bytes: int | None = None

    def __post_init__(self) -> None:
        limit = self.states if self.bytes is None else self.bytes
        both = self.states is not None and self.bytes is not None
        if both or isinstance(limit, bool) or not isinstance(limit, int) or limit < 1:
            raise coded(ValueError, "LJ117")(
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
            raise coded(ValueError, "LJ117")(
                f"a gradient of {n_steps} steps needs at least {least} states; {self} is too little"
            )
        raise coded(ValueError, "LJ117")(
            f"a gradient of {n_steps} steps needs at least {least} states of {body.state} bytes, "
            f"{least * body.state} together; {self} is too little"
        )

    def __str__(self) -> str:
        return f"Budget(states={self.states})" if self.bytes is None else f"Budget(bytes={self.bytes})"
