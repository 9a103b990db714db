"""The report on one loop: operands and results, its plan, and the cost of a step."""

from __future__ import annotations

from typing import Literal, NamedTuple

from loopjax.ir.plan import LoopPlan


class Part(NamedTuple):
    """An operand or a result of a loop: its name, its role in the loop, and its type outside of it.

    ``taps``: of a sequence and of what a state starts from, the steps that a step reads; ``state``: the state.
    """

    name: str
    role: str
    type: str
    kind: Literal["sequence", "state", "key", "constant", "result"]
    taps: tuple[int, ...] = ()
    state: str = ""


class StepReport(NamedTuple):
    """One step, estimated: operations, bytes read and written, bytes handed to the next step; ``stored``: bytes kept
    for the gradient, at most; ``None`` where nothing is, or where the plan's checkpoint says what."""

    operations: int
    bytes: int
    carried: int
    stored: int | None

    @property
    def amounts(self) -> tuple[tuple[str, str], ...]:
        """Pairs of an amount and its meaning."""
        found = [(quantity(self.operations, "").rstrip(" s"), "operations a step, about")]
        found += [(in_bytes(self.bytes), "read and written a step")]
        found += [(in_bytes(self.carried), "handed to the next step")] if self.carried else []
        return (*found, *([(in_bytes(self.stored), "a step stored for the gradient, at most")] if self.stored else []))

    def __str__(self) -> str:
        text = f"a step: about {quantity(self.operations, 'operation')} on {in_bytes(self.bytes)}"
        text += f", {in_bytes(self.carried)} handed to the next" if self.carried else ""
        return text + (f", up to {in_bytes(self.stored)} stored for the gradient" if self.stored else "")


class LoopReport(NamedTuple):
    """One loop: its name and line, how deep it is nested, its length, plan, and what it stacks in bytes.

    ``n_steps`` is ``None`` where the trip count is a run-time value without a bound. Where the count ``varies``,
    ``n_steps`` is the most there can be. ``enters`` and ``leaves``: what it reads and what it gives; ``outputs``: which
    steps of each output are kept. ``notes``: what rewrites did to it. ``plan`` and ``step`` are ``None`` for a function
    that has not been called yet.
    """

    name: str
    line: str
    depth: int
    differentiated: bool
    n_steps: int | None
    varies: bool
    enters: tuple[Part, ...]
    leaves: tuple[Part, ...]
    outputs: tuple[str, ...]
    notes: tuple[str, ...]
    stacked_bytes: int | None
    plan: LoopPlan | None
    step: StepReport | None

    @property
    def steps(self) -> str:
        """The trip count in words."""
        if self.n_steps is None:
            return "a run-time number of steps"
        return f"{'up to ' * self.varies}{quantity(self.n_steps, 'step')}"

    @property
    def details(self) -> tuple[str, ...]:
        """The facts of the plan, except the kind of loop."""
        plan = self.plan
        if plan is None:
            return ()
        found = [f"keeps {', '.join(self.outputs)}"] if self.outputs else []
        found += [f"{plan.unroll} steps an iteration"] if plan.unroll > 1 else []
        if nest := plan.checkpoint:
            text = f"at most {nest.states} states of {in_bytes(plan.state_bytes)} at one time"
            found.append(text + ("" if nest.flat else f", as loops of {nest}, {nest.recomputed} steps computed again"))
        found += [f"far taps read in blocks of {plan.block} steps"] if plan.block else []
        found += [f"no gradient through the first {plan.frozen} steps"] if plan.frozen else []
        found += ["differentiated"] if self.differentiated else []
        found += [f"stacks {in_bytes(self.stacked_bytes)}"] if self.stacked_bytes is not None else []
        return tuple(found)

    def __str__(self) -> str:
        indent = "  " * self.depth
        head = f"{indent}scan {self.name!r}{self.line}: {self.steps}"
        if self.plan is None:
            return f"{head}; not lowered yet: call the function first"
        lines = [f"{head} -> {self.plan.kind}: {self.plan.reason}", f"{indent}  {'; '.join(self.details)}"]
        lines += [f"{indent}  {self.step}"] if self.step else []
        lines += [f"{indent}  rewritten: {note}" for note in self.notes]
        return "\n".join(lines)


def at_step(tap: int) -> str:
    """``t-1`` for the tap -1."""
    return f"t{tap:+d}" if tap else "t"


def quantity(number: int, what: str) -> str:
    """``3 loops``, ``1 step``; large numbers rounded."""
    for power, word in ((12, "trillion"), (9, "billion"), (6, "million")):
        if number >= 10**power and what == "operation":
            return f"{number / 10**power:.3g} {word} {what}s"
    return f"{number:,} {what}{'s' * (number != 1)}"


def in_bytes(number: int) -> str:
    """``24 bytes``, ``1.5 MB``."""
    for power, word in ((12, "TB"), (9, "GB"), (6, "MB"), (3, "kB")):
        if number >= 10 * 10**power or (number >= 10**power and power > 3):
            return f"{number / 10**power:.3g} {word}"
    return quantity(number, "byte")
