"""What a random program is: a small frozen structure that ``reference`` runs and ``script`` prints.

A program is a block of statements over named values. ``Let`` names an expression; ``Loop`` runs a block once a step and
names its stacked outputs and the final values of the shared variables that it updates. Blocks nest.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Ref:
    """The value of a name."""

    name: str


@dataclass(frozen=True)
class Number:
    """A Python number, weakly typed."""

    value: int | float


@dataclass(frozen=True)
class Call:
    """An op of ``ops.OPS`` on expressions; ``parameter`` is its number, dtype or index where it has one."""

    op: str
    args: tuple[Expression, ...] = ()
    parameter: int | float | str | None = None


Expression = Ref | Number | Call


@dataclass(frozen=True)
class Input:
    """A value that comes from outside: an argument of the function, a shared variable or a constant.

    ``counts`` are the values of the two calls of an input that decides lengths; others are drawn from their name, from
    0 to ``most`` where that is given.
    """

    name: str
    dtype: str
    shape: tuple[int, ...] = ()
    kind: str = "argument"
    counts: tuple[int, int] | None = None
    most: int | None = None


@dataclass(frozen=True)
class Sequence:
    """What a loop reads along its first axis, and the names of its slices in fn, one a tap."""

    value: str
    taps: tuple[int, ...]
    names: tuple[str, ...]


@dataclass(frozen=True)
class State:
    """An output that later steps read: its initial value, and the names of its past values in fn, one a tap."""

    initial: Ref | Number
    taps: tuple[int, ...]
    names: tuple[str, ...]


@dataclass(frozen=True)
class Let:
    """``name = expression``."""

    name: str
    expression: Expression


@dataclass(frozen=True)
class Loop:
    """A scan. ``states`` has an entry for each output, ``None`` for one that no later step reads."""

    name: str
    outputs: tuple[str, ...]
    body: Block
    states: tuple[State | None, ...]
    sequences: tuple[Sequence, ...] = ()
    non_sequences: tuple[tuple[str, str], ...] = ()
    """Outer names, and what fn calls them."""
    n_steps: int | Ref | None = None
    go_backwards: bool = False
    updates: tuple[tuple[str, str, Expression], ...] = ()
    """Shared variables, the names of their values after the loop, and their new values in a step."""
    until: Expression | None = None
    unroll: int | None = None
    checkpoint: int | None = None
    truncate: int | None = None
    """Through how many of the last steps gradients flow; ``None`` for all."""

    @property
    def names(self) -> tuple[str, ...]:
        return (*self.outputs, *(after for _, after, _ in self.updates))


@dataclass(frozen=True)
class Block:
    """Statements, and the expressions that a step, or the program, gives."""

    statements: tuple[Let | Loop, ...]
    outputs: tuple[Expression, ...]


@dataclass(frozen=True)
class Program:
    """A function of ``inputs``. ``update``: whether its calls commit what the loops do to shared variables."""

    inputs: tuple[Input, ...]
    block: Block
    update: bool = False
    draws: tuple[int, ...] = ()
    """Positions of outputs that hold random draws."""
    readings: tuple[str, ...] = ()
    """For gradients: how the cost reads each output, a key of ``gradients.READINGS``."""
    curvature: bool = False
    """For gradients: whether second derivatives are compared too."""

    def of_kind(self, kind: str) -> tuple[Input, ...]:
        return tuple(one for one in self.inputs if one.kind == kind)


def names_in(expression: Expression) -> Iterator[str]:
    """The names that an expression reads."""
    if isinstance(expression, Ref):
        yield expression.name
    elif isinstance(expression, Call):
        for arg in expression.args:
            yield from names_in(arg)


def names_of(statement: Let | Loop) -> set[str]:
    """All names that a statement reads, those of its own body included."""
    if isinstance(statement, Let):
        return set(names_in(statement.expression))
    found = {sequence.value for sequence in statement.sequences} | {outer for outer, _ in statement.non_sequences}
    found |= {state.initial.name for state in statement.states if state and isinstance(state.initial, Ref)}
    if isinstance(statement.n_steps, Ref):
        found.add(statement.n_steps.name)
    for shared, _, new in statement.updates:
        found |= {shared, *names_in(new)}
    if statement.until is not None:
        found |= set(names_in(statement.until))
    return found | names_of_block(statement.body)


def names_of_block(block: Block) -> set[str]:
    """All names that a block reads."""
    found = {name for output in block.outputs for name in names_in(output)}
    return found.union(*(names_of(statement) for statement in block.statements))


def loops(block: Block) -> Iterator[Loop]:
    """All loops, nested ones included."""
    for statement in block.statements:
        if isinstance(statement, Loop):
            yield statement
            yield from loops(statement.body)


def pruned(program: Program) -> Program:
    """The program without statements, inputs and shared variables that no output or committed update needs."""
    block = _pruned(program.block, [], keep_updates=program.update)
    used = names_of_block(block)
    return replace(program, block=block, inputs=tuple(one for one in program.inputs if one.name in used))


def _pruned(block: Block, more: list[Expression], keep_updates: bool = False) -> Block:
    needed = {name for output in (*block.outputs, *more) for name in names_in(output)}
    kept: list[Let | Loop] = []
    for statement in reversed(block.statements):
        names = {statement.name} if isinstance(statement, Let) else set(statement.names)
        updates = keep_updates and isinstance(statement, Loop) and statement.updates
        if not updates and not names & needed:
            continue
        if isinstance(statement, Loop):
            extra = [new for _, _, new in statement.updates]
            extra += [statement.until] if statement.until is not None else []
            body = _pruned(statement.body, extra)
            read = names_of_block(body).union(*(names_in(one) for one in extra))
            passed = tuple((outer, name) for outer, name in statement.non_sequences if name in read)
            statement = replace(statement, body=body, non_sequences=passed)
        kept.append(statement)
        needed |= names_of(statement)
    return replace(block, statements=tuple(reversed(kept)))
