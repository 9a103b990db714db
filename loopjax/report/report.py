"""What ``explain`` returns: the loops of a function, as text and, in a notebook, as a picture."""

from __future__ import annotations

from typing import NamedTuple

from loopjax.ir.plan import LoopPlan


class Part(NamedTuple):
    """What enters or leaves a loop: its name, what it is to the loop, and its type outside of it."""

    name: str
    role: str
    type: str


class StepReport(NamedTuple):
    """One step, estimated: operations, bytes read and written, bytes handed to the next step; ``stored``: bytes kept
    for the gradient, at most; ``None`` where nothing is, or where the plan's checkpoint says what."""

    operations: int
    bytes: int
    carried: int
    stored: int | None

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
        """How many there are."""
        if self.n_steps is None:
            return "a run-time number of steps"
        return f"{'up to ' * self.varies}{quantity(self.n_steps, 'step')}"

    @property
    def details(self) -> tuple[str, ...]:
        """What the plan says besides the kind of loop."""
        plan = self.plan
        if plan is None:
            return ()
        found = [f"keeps {', '.join(self.outputs)}"] if self.outputs else []
        found += [f"{plan.unroll} steps an iteration"] if plan.unroll > 1 else []
        found += [_storage(plan)] if plan.checkpoint else []
        found += [f"a tree of {' x '.join(str(n) for n in plan.levels)}"] if plan.levels else []
        found += [f"far taps read in blocks of {plan.block} steps"] if plan.block else []
        found += [f"no gradient through the first {plan.frozen} steps"] if plan.frozen else []
        found += ["differentiated"] if self.differentiated else []
        found += [f"stacks {in_bytes(self.stacked_bytes)}"] if self.stacked_bytes is not None else []
        return tuple(found)

    def __str__(self) -> str:
        indent = "  " * self.depth
        head = f"{indent}scan {self.name!r}{self.line}: {self.steps}"
        if self.plan is None:
            return f"{head}; not lowered yet"
        lines = [f"{head} -> {self.plan.kind}: {self.plan.reason}", f"{indent}  {'; '.join(self.details)}"]
        lines += [f"{indent}  {self.step}"] if self.step else []
        lines += [f"{indent}  rewritten: {note}" for note in self.notes]
        return "\n".join(lines)


class Report(NamedTuple):
    """The loops of each stage of a function; prints as text, and shows as a picture in a notebook.

    ``room``: which lengths have room for more rows, so that one program serves many; ``exact``: the ops that need a
    length as it is, so that each length is compiled for. ``tuning``: for each stage, what was measured and chosen.
    """

    name: str
    stages: tuple[tuple[LoopReport, ...], ...]
    room: str = ""
    exact: tuple[str, ...] = ()
    tuning: tuple[tuple[str, ...], ...] = ()

    @property
    def loops(self) -> tuple[LoopReport, ...]:
        """All loops, the outer before the inner."""
        return tuple(loop for stage in self.stages for loop in stage)

    @property
    def title(self) -> str:
        return f"{self.name}: {quantity(len(self.stages), 'stage')}, {quantity(len(self.loops), 'loop')}"

    @property
    def remarks(self) -> tuple[str, ...]:
        """What is said of the program as a whole."""
        return (*((f"room is made for {self.room}",) if self.room else ()), *self.exact)

    def __str__(self) -> str:
        lines = [self.title]
        for number, (stage, tuning) in enumerate(zip(self.stages, self.tuning, strict=True), start=1):
            if len(self.stages) > 1:
                lines.append(f"stage {number}:")
            lines += [*map(str, stage), *tuning]
        return "\n".join([*lines, *self.remarks])

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        from loopjax.report.html import picture  # only a notebook needs it

        return picture(self)


def _storage(plan: LoopPlan) -> str:
    nest = plan.checkpoint
    assert nest is not None
    text = f"at most {nest.states} states of {in_bytes(plan.state_bytes)} at one time"
    return text if nest.flat else f"{text}, as loops of {nest}, {nest.recomputed} steps computed again"


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
