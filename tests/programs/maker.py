"""``Maker`` of random programs: it draws statements, and knows of each value what it may be used for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from hypothesis import strategies as st

from tests.programs.gradients import READINGS
from tests.programs.ops import (
    DRAWS,
    MASKS,
    OPS,
    PARTS,
    RANKS,
    SLICES,
    operand_dtype,
    read_dtype,
    result_dtype,
    slice_of,
)
from tests.programs.program import (
    Block,
    Call,
    Expression,
    Input,
    Let,
    Loop,
    Number,
    Program,
    Ref,
    Sequence,
    State,
    pruned,
)

STATE_TAPS = [(-1,), (-2, -1), (-1, -2), (-3,), (-3, -1), (-2,), (-1, -4), (-5, -2), (-8, -3), (-6, -1)]
SEQUENCE_TAPS = [(0,), (0, 1), (-1, 0), (-1,), (1,), (-2, 0, 1), (2, 0), (-3, 2)]

Shape = tuple[int | str, ...]


@dataclass(frozen=True)
class Kind:
    """What the generator knows of a value. A size that only a run knows is a word, equal where the size is."""

    dtype: str
    shape: Shape
    shared: frozenset[str] = frozenset()
    """The shared variables that it is computed from."""
    draw: bool = False
    count: bool = False
    """Whether it may be a number of steps: an integer from 0 to 6."""
    partly: bool = False
    """Whether it is a stack whose length differs between steps of an outer loop, to be read in part only."""
    unbounded: bool = False
    """Whether it is such a stack, of a loop whose number of steps is computed in a step: it has no slices."""
    number: bool = False
    """Whether it is computed from a state that starts as a Python number."""
    samples: tuple[int, ...] | None = None
    """Values of an integer at some imagined steps, the same steps for all of a program (see ``varying``)."""
    loose: bool = False
    """Whether it is an integer that nothing in the program bounds."""
    elements: tuple[tuple[int, ...], tuple[int, ...]] | None = None
    """Of an array of integers, the least and the greatest value at these steps."""


Env = dict[str, Kind]


@dataclass
class Maker:
    """Makes one program. ``gradients``: one to differentiate."""

    draw: Callable[[st.SearchStrategy[Any]], Any]
    gradients: bool
    inputs: list[Input] = field(default_factory=list)
    numbers: dict[str, int] = field(default_factory=dict)
    sizes: dict[Any, str] = field(default_factory=dict)
    outermost: set[str] = field(default_factory=set)
    """Names of the outermost block."""
    draws: bool = False
    in_part: bool = False
    """Whether the stacks of an inner loop around are read in part only."""

    def pick(self, values: Any) -> Any:
        return self.draw(st.sampled_from(list(values)))

    def chance(self, percent: int) -> bool:
        return bool(self.draw(st.integers(0, 99)) >= 100 - percent)

    def named(self, prefix: str) -> str:
        self.numbers[prefix] = self.numbers.get(prefix, 0) + 1
        return f"{prefix}{self.numbers[prefix]}"

    def input(self, env: Env, dtype: str, shape: tuple[int, ...], kind: str | None = None, **options: Any) -> str:
        """A fresh input, added to ``env``."""
        if kind is None:
            kind = "constant" if self.chance(5 if self.gradients else 10) else "argument"
        name = self.named({"argument": "x", "constant": "c", "shared": "s"}[kind])
        self.inputs.append(Input(name, dtype, shape, kind, **options))
        shared = frozenset([name]) if kind == "shared" else frozenset()
        env[name] = Kind(dtype, shape, shared, count=bool(options))
        self.outermost.add(name)
        return name

    def count_input(self, env: Env) -> str:
        counts = self.draw(st.tuples(st.integers(0, 6), st.integers(0, 6)))
        if self.gradients and not self.chance(30):
            counts = (max(counts[0], 1), max(counts[1], 1))
        return self.input(env, "int64", (), "argument", counts=counts)

    def dtype(self) -> str:
        if self.gradients:
            return "int64" if self.chance(6) else "float64"
        return str(self.pick(["float64", "float64", "float64", "int64", "float32"]))

    # Expressions

    def kind(self, expression: Expression, env: Env) -> Kind:
        """The kind of an expression that holds at least one name."""
        if isinstance(expression, Ref):
            return env[expression.name]
        assert isinstance(expression, Call)
        args = [arg.value if isinstance(arg, Number) else self.kind(arg, env) for arg in expression.args]
        kinds = [arg for arg in args if isinstance(arg, Kind)]
        shared = frozenset().union(*(one.shared for one in kinds))
        if expression.op in OPS:
            dtype = result_dtype(
                expression.op, [arg.dtype if isinstance(arg, Kind) else arg for arg in args], expression.parameter
            )
            shape = max((one.shape for one in kinds), key=len)
            partly, number = any(one.partly for one in kinds), any(one.number for one in kinds)
            return Kind(dtype, shape, shared, count=expression.op == "count", partly=partly, number=number)
        if expression.op in DRAWS:
            return Kind(read_dtype(expression.op, ""), (4,), draw=True)
        dtype = read_dtype(expression.op, kinds[0].dtype)
        if expression.op == "arange":
            return Kind(dtype, (self.size(expression),), shared)
        size, *row = kinds[0].shape
        if expression.op == "length":
            return Kind(dtype, (), shared, count=isinstance(size, int) and size <= 6)
        if expression.op in ("join", "outer"):
            dtype = operand_dtype([kind.dtype for kind in kinds])
            both = all(isinstance(kind.shape[0], int) for kind in kinds)
            joined = sum(int(kind.shape[0]) for kind in kinds) if both else self.size(expression)
            shape = (size, kinds[1].shape[0]) if expression.op == "outer" else (joined, *row)
            return Kind(dtype, shape, shared, number=any(one.number for one in kinds))
        kept = replace(kinds[0], dtype=dtype, shared=shared, count=False)
        if expression.op in ("put", "cumsum"):
            return kept
        if expression.op not in PARTS:
            return replace(kept, shape=tuple(row), partly=False, unbounded=False)
        if expression.op == "slice" and isinstance(size, int):
            rows: int | str = len(range(size)[slice_of(str(expression.parameter))])
        else:
            rows = self.size((size, expression.parameter) if expression.op == "slice" else expression)
        return replace(kept, shape=(rows, *row))

    def size(self, origin: Any) -> str:
        """The word for a size that only a run knows, the same for what has the same origin."""
        if origin not in self.sizes:
            self.sizes[origin] = self.named("n")
        return self.sizes[origin]

    def usable(self, env: Env, shape: Shape) -> list[str]:
        return [
            name
            for name, kind in env.items()
            if kind.shape == shape and RANKS[kind.dtype] and not kind.draw and not kind.partly
        ]

    def leaf(self, env: Env, shape: Shape) -> Expression:
        names = self.usable(env, shape)
        if not names:
            return Ref(self.input(env, self.dtype(), tuple(int(size) for size in shape)))
        # Inner names come last and are wanted most.
        return Ref(names[len(names) - 1 - self.draw(st.integers(0, len(names) - 1))])

    def expression(self, env: Env, shape: Shape, depth: int = 2) -> Expression:
        """An expression of this shape, at least one name in it."""
        if depth == 0:
            return self.leaf(env, shape)
        forms = ["leaf", "scale", "add", "tanh", "sub", "sin", "product", "offset", "neg"]
        if not self.gradients or self.chance(40):
            forms += ["maximum", "minimum", "switch", "cast", "limit"]
        form = self.pick(forms)
        if form == "leaf":
            return self.leaf(env, shape)
        first = self.expression(env, shape, depth - 1)
        kind = self.kind(first, env)
        if form in ("tanh", "sin", "neg"):
            return Call(form, (first,))
        if form == "scale":
            return Call("mul", (first, self.number(kind)))
        if form == "offset":
            return Call("add", (self.number(kind), first))
        if form == "limit":
            return Call(self.pick(["maximum", "minimum"]), (first, self.number(kind)))
        if form == "cast":
            return self.cast(first, kind, self.dtype())
        other = self.expression(env, self.pick([shape, ()]), depth - 1)
        if form == "product":
            return Call("mul", (Call("tanh", (other,)), first))
        if form == "switch":
            return Call("switch", (self.condition(env, self.pick([(), shape])), first, other))
        return Call(form, (first, other))

    def number(self, kind: Kind) -> Number:
        if kind.dtype == "int64" and not self.chance(20):
            return Number(self.draw(st.integers(-2, 3)))
        return Number((self.draw(st.integers(-14, 14)) or 15) / 10)

    def condition(self, env: Env, shape: Shape) -> Expression:
        left = self.expression(env, shape, 1)
        right = self.number(self.kind(left, env)) if self.chance(60) else self.expression(env, shape, 1)
        found = Call(self.pick(["ge", "lt"]), (left, right))
        return Call("and", (found, self.condition(env, ()))) if self.chance(10) else found

    def cast(self, expression: Expression, kind: Kind, dtype: str) -> Expression:
        if kind.dtype == dtype and not kind.number:
            return expression
        if kind.number and dtype != "float64":
            # A cast to the dtype that an expression has while fn is recorded is dropped, also where the number in it
            # takes a wider dtype afterwards.
            expression, kind = Call("cast", (expression,), "float64"), replace(kind, dtype="float64")
        if dtype == "int64" and kind.dtype != "bool":
            # Zeros are frequent, and zero is where truncation jumps.
            expression = Call("add", (Call("mul", (expression, Number(3.7))), Number(0.4142)))
        return Call("cast", (expression,), dtype)

    def of_dtype(self, env: Env, shape: Shape, dtype: str) -> Expression:
        found = self.expression(env, shape)
        return self.cast(found, self.kind(found, env), dtype)

    def next_value(self, env: Env, state: State, kind: Kind) -> Expression:
        """What a step gives for a state. One that starts as a number takes the dtype that is written here."""
        if isinstance(state.initial, Ref):
            return self.of_dtype(env, kind.shape, kind.dtype)
        expression = self.expression(env, kind.shape)
        return self.cast(expression, replace(self.kind(expression, env), number=True), kind.dtype)

    def let(self, env: Env, expression: Expression) -> Let:
        name = self.named("v")
        env[name] = self.kind(expression, env)
        return Let(name, expression)

    def shape(self, env: Env) -> Shape:
        """The shape of some value, or a scalar."""
        shapes = list(dict.fromkeys([(), *(kind.shape for kind in env.values() if len(kind.shape) < 2)]))
        return self.pick([shape for shape in shapes if shape == () or self.usable(env, shape)] + [(), ()])

    # Blocks

    def block(self, env: Env, depth: int) -> list[Let | Loop]:
        """Statements that add to ``env``."""
        statements: list[Let | Loop] = []
        if self.chance(30):
            statements.append(self.let(env, self.expression(env, self.shape(env))))
        if self.chance(30):
            arrays = [name for name, kind in env.items() if self.joins(kind, kind)]
            statements += self.reads(env, self.pick(arrays), depth) if arrays else []
        loops = 1 + self.chance(35) + self.chance(10) if depth == 0 else self.chance(40 if depth == 1 else 15)
        for _ in range(loops):
            loop = self.loop(env, statements, depth)
            statements.append(loop)
            for output in loop.outputs:
                statements += self.reads(env, output, depth)
            if depth == 0 and self.chance(15):
                statements.append(self.let(env, self.expression(env, self.shape(env))))
        return statements

    def reads(self, env: Env, name: str, depth: int, more: int = 2) -> list[Let]:
        """How an array is read besides as a whole; what is a part of it is read ``more`` times again."""
        kind = env[name]
        size = kind.shape[0]
        if kind.draw:
            return [self.let(env, Call("last", (Ref(name),)))] if kind.partly else []
        found: list[Let] = []
        word = isinstance(size, str)
        for _ in range(self.draw(st.integers(1 if kind.partly or word else 0, 3 if word else 2))):
            ops = ["sum", "length", "last", "back", "at"] if size != 0 or self.chance(10) else ["sum", "length"]
            if kind.dtype == "bool":
                ops = ops[1:]
            elif not self.gradients or (size != 0 and not kind.partly):
                ops.append("mean")
            if more and not kind.unbounded:
                ops += ["slice"] * (9 if word else 4) + self.parts(env, kind)
            op = self.pick(ops)
            found.append(self.read(env, op, name))
            part = found[-1].name
            if op in MASKS and depth:
                # Each step may keep another number of rows.
                env[part] = replace(env[part], partly=True)
            if env[part].shape:
                found += self.used(env, part, depth, more - 1)
        return found

    def parts(self, env: Env, kind: Kind) -> list[str]:
        """The ops, apart from slices, that make arrays of an array of this kind."""
        ops = ["upto", "from"] if any(one.count and name in self.outermost for name, one in env.items()) else []
        if RANKS[kind.dtype] and len(kind.shape) < 3:
            ops += ["rows" if len(kind.shape) > 1 else "mask"] * 2
            if not kind.partly:
                ops += ["put", "cumsum", "join"] + ["outer"] * (len(kind.shape) == 1)
        return ops

    def read(self, env: Env, op: str, name: str) -> Let:
        """One read of an array."""
        kind = env[name]
        args: list[Expression] = [Ref(name)]
        parameter: int | str | None = None
        size = kind.shape[0]
        most = size if isinstance(size, int) and size and not self.chance(5) else 3
        if op == "back":
            parameter = self.draw(st.integers(1, most))
        elif op == "at":
            parameter = self.draw(st.integers(0, most - 1))
        elif op in ("slice", "put"):
            parameter = self.pick(SLICES)
        elif op in MASKS:
            parameter = self.pick([0, 0, 0, 1, -1])
        if op == "put":
            args.append(self.of_dtype(env, (), kind.dtype))
        elif op in ("upto", "from"):
            args.append(Ref(self.pick(count for count, one in env.items() if one.count and count in self.outermost)))
        elif op in ("join", "outer"):
            args.append(Ref(self.pick(one for one in env if self.joins(env[one], kind))))
        return self.let(env, Call(op, tuple(args), parameter))

    def joins(self, one: Kind, kind: Kind) -> bool:
        """Whether arrays of these kinds are joined along the first axis, or multiplied where they are vectors."""
        usable = RANKS[one.dtype] and not one.draw and not one.partly
        return bool(usable and one.shape and one.shape[1:] == kind.shape[1:])

    def used(self, env: Env, name: str, depth: int, more: int) -> list[Let]:
        """What is computed with an array, and read of that."""
        kind, found = env[name], []
        if RANKS[kind.dtype] and self.chance(60):
            shape = () if kind.partly or not self.usable(env, kind.shape) else self.pick([(), kind.shape])
            other = self.number(kind) if self.chance(30) else self.expression(env, shape, 1)
            found.append(self.let(env, Call(self.pick(["mul", "add", "sub"]), (Ref(name), other))))
            name = found[-1].name
        return found + self.reads(env, name, depth, more)

    # Loops

    def loop(self, env: Env, before: list[Let | Loop], depth: int) -> Loop:
        """A loop, its results added to ``env``; what must stand in front of it is added to ``before``."""
        name = self.named("l")
        until = self.chance(35)
        steps, n_steps, varies = self.steps(env, before, depth, until)
        n_sequences = 0 if varies else self.draw(st.integers(0 if n_steps is not None else 1, 2))
        sequences, rows = self.sequences(env, n_sequences, steps, n_steps)
        updated = self.updated(env)
        n_states = self.draw(st.integers(0, 2))
        states = [self.state(env) for _ in range(n_states)]
        n_maps = self.draw(st.integers(0 if states or updated else 1, 2))
        inner, non_sequences = self.inside(env, sequences, states, updated)
        partly = depth > 0 and (until or varies)
        around, self.in_part = self.in_part, self.in_part or partly
        statements = [*self.drawn(inner), *self.block(inner, depth + 1)]
        self.in_part = around
        outputs: list[Expression] = [self.next_value(inner, state, kind) for state, kind in states] + [
            self.map_output(inner) for _ in range(n_maps)
        ]
        statements, outputs = self.with_draws(inner, statements, outputs)
        entries = [state for state, _ in states] + [None] * (len(outputs) - len(states))
        if self.chance(30):
            entries, outputs = entries[::-1], outputs[::-1]
        new = [self.of_dtype(inner, env[shared].shape, env[shared].dtype) for shared in updated]
        condition = self.condition(inner, ()) if until else None
        missing = {one: kind for one, kind in inner.items() if one not in env and one in self.outermost}
        env.update(missing)

        length: int | str = rows if not until and isinstance(rows, int) else self.named("n")
        everything = frozenset().union(
            *(kind.shared for kind in inner.values()), *(env[s.value].shared for s in sequences)
        )
        everything |= frozenset(updated)
        names = tuple(f"{name}_{position}" for position in range(len(outputs)))
        for one, output in zip(names, outputs, strict=True):
            kind = self.kind(output, inner)
            env[one] = replace(
                kind,
                shape=(length, *kind.shape),
                shared=everything,
                count=False,
                partly=partly,
                unbounded=varies and depth > 0,
            )
        updates = []
        for shared, value in zip(updated, new, strict=True):
            after = f"{name}_{shared}"
            env[after] = Kind(env[shared].dtype, env[shared].shape, everything)
            updates.append((shared, after, value))
        static = not until and not varies
        return Loop(
            name,
            names,
            Block(tuple(statements), tuple(outputs)),
            tuple(entries),
            tuple(sequences),
            tuple(non_sequences),
            n_steps,
            self.chance(25),
            tuple(updates),
            condition,
            self.pick([2, 3]) if self.chance(8) else None,
            self.pick([1, 2, 3]) if static and self.chance(12 if self.gradients else 5) else None,
            self.pick([0, 1, 1, 1, 2, 2, 3, 5]) if self.gradients and self.chance(50 if until else 20) else None,
        )

    def steps(self, env: Env, before: list[Let | Loop], depth: int, until: bool) -> tuple[int, int | Ref | None, bool]:
        """How many steps to make sequences for, ``n_steps``, and whether it differs between steps of an outer loop."""
        least = 4 if until and self.gradients and self.chance(50) else 1
        most = 2 if until and least == 1 and self.chance(50) else 6 if depth == 0 else 4
        steps = self.draw(st.integers(least, most)) if not self.chance(5 if self.gradients else 8) else 0
        form = self.pick(["given", "sequences", "sequences", "value", *["given"] * 4 * until])
        if form == "sequences":
            return steps, None, False
        if form == "given":
            return steps, steps, False
        counts = [name for name, kind in env.items() if kind.count]
        if depth and not self.gradients and self.chance(70):
            inner = [name for name in self.usable(env, ()) if name not in self.outermost]
            if inner:
                chosen = self.pick(inner)
                number = self.cast(Ref(chosen), env[chosen], "int64")
                before.append(self.let(env, Call("count", (number,))))
                return 4, Ref(before[-1].name), True
        counts = [name for name in counts if name in self.outermost]
        if depth == 0 and self.chance(20):
            scalar = self.expression(env, (), 1)
            before.append(self.let(env, Call("count", (self.cast(scalar, self.kind(scalar, env), "int64"),))))
            self.outermost.add(before[-1].name)
            return 4, Ref(before[-1].name), False
        name = self.pick(counts) if counts and self.chance(50) else self.count_input(env)
        return 6, Ref(name), False

    def sequences(
        self, env: Env, count: int, steps: int, n_steps: int | Ref | None
    ) -> tuple[list[Sequence], int | str]:
        """Sequences that are long enough, and the number of steps as far as it is known."""
        found: list[Sequence] = []
        lengths: list[int | str] = []
        for _ in range(count):
            taps = self.pick(SEQUENCE_TAPS) if self.chance(40) else (0,)
            span = max(*taps, 0) - min(*taps, 0)
            value = self.sequence(env, steps + span, n_steps)
            size = env[value].shape[0]
            lengths.append(max(size - span, 0) if isinstance(size, int) else size)
            found.append(Sequence(value, taps, tuple(self.named("u") for _ in taps)))
        if isinstance(n_steps, int):
            return found, n_steps
        if n_steps is None and all(isinstance(length, int) for length in lengths):
            return found, min(int(length) for length in lengths)
        return found, self.named("n")

    def sequence(self, env: Env, rows: int, n_steps: int | Ref | None) -> str:
        fits = [
            name
            for name, kind in env.items()
            if kind.shape
            and kind.shape[1:] in ((), (2,))
            and not kind.draw
            and not kind.partly
            and RANKS[kind.dtype]
            and (n_steps is None or (isinstance(kind.shape[0], int) and kind.shape[0] >= rows))
        ]
        if fits and self.chance(40):
            return str(self.pick(fits))
        counts = [name for name, kind in env.items() if kind.count and name in self.outermost]
        if n_steps is None and counts and self.chance(10):
            return self.ranged(env, self.pick(counts))
        short = isinstance(n_steps, Ref) and not self.gradients and self.chance(5)
        extra = -1 if short else self.pick([0, 0, 1, 2])
        return self.input(env, self.dtype(), (max(rows + extra, 0), *self.pick([(), (2,)])))

    def ranged(self, env: Env, count: str) -> str:
        """An input of unknown length would do as well; a range has one that is a value."""
        name = self.named("r")
        env[name] = Kind("int64", (self.named("n"),), env[count].shared)
        self.ranges.append(Let(name, Call("arange", (Ref(count),))))
        return name

    ranges: list[Let] = field(default_factory=list)

    def updated(self, env: Env) -> list[str]:
        """The shared variables that a loop updates."""
        if not self.chance(25):
            return []
        known = [one.name for one in self.inputs if one.kind == "shared"]
        if known and self.chance(50):
            name = self.pick(known)
            if name in env:
                return [name]
        return [self.input(env, self.dtype(), self.pick([(), (2,)]), "shared")]

    def state(self, env: Env) -> tuple[State, Kind]:
        """A state and the kind of its past values."""
        shape = self.pick([(), (2,)])
        dtype = self.dtype()
        taps = self.pick(STATE_TAPS) if self.chance(50) else (-1,)
        names = tuple(self.named("h") for _ in taps)
        rows = -min(taps)
        if taps == (-1,) and shape == () and self.chance(25):
            value = self.pick([0, 1]) if dtype == "int64" or self.chance(50) else self.pick([0.0, 0.5, -0.3])
            return State(Number(value), taps, names), Kind(dtype, shape, number=True)
        full = shape if taps == (-1,) else (rows, *shape)
        fits = [
            name
            for name, kind in env.items()
            if kind.dtype == dtype
            and kind.shape[len(full) - len(shape) :] == shape
            and len(kind.shape) == len(full)
            and (taps == (-1,) or (isinstance(kind.shape[0], int) and kind.shape[0] >= rows))
            and not kind.draw
            and not kind.partly
        ]
        if fits and self.chance(50):
            initial = self.pick(fits)
        else:
            more = (1,) if taps != (-1,) and self.chance(20) else (0,)
            size = shape if taps == (-1,) else (rows + more[0], *shape)
            initial = self.input(env, dtype, size)
        return State(Ref(initial), taps, names), Kind(dtype, shape)

    def inside(
        self, env: Env, sequences: list[Sequence], states: list[tuple[State, Kind]], updated: list[str]
    ) -> tuple[Env, list[tuple[str, str]]]:
        """What a body sees: closures, slices, past values and non-sequences."""
        # What is computed from a shared variable that the loop updates would be computed anew at each step.
        inner = {
            name: kind
            for name, kind in env.items()
            if (name in updated or not kind.shared & set(updated)) and not kind.draw and not kind.partly
        }
        passed: list[tuple[str, str]] = []
        outer = [name for name in inner if name not in updated]
        if outer and self.chance(30):
            chosen = self.pick(outer)
            passed.append((chosen, self.named("w")))
        for chosen, name in passed:
            inner[name] = inner[chosen]
        for sequence in sequences:
            kind = env[sequence.value]
            inner.update(dict.fromkeys(sequence.names, Kind(kind.dtype, kind.shape[1:])))
        for state, kind in states:
            inner.update(dict.fromkeys(state.names, kind))
        return inner, passed

    def map_output(self, env: Env) -> Expression:
        if self.chance(8):
            return self.condition(env, ())
        stacks = [
            name
            for name, kind in env.items()
            if name.startswith("l") and kind.shape and not kind.partly and not kind.draw
        ]
        stacks = [name for name in stacks if name not in self.outermost and len(env[name].shape) < 3]
        if stacks and self.chance(40):
            return Ref(self.pick(stacks))
        return self.expression(env, self.shape(env))

    def with_draws(
        self, env: Env, statements: list[Let | Loop], outputs: list[Expression]
    ) -> tuple[list[Let | Loop], list[Expression]]:
        """Draws of the body, and those of inner loops, as further outputs."""
        drawn = [name for name, kind in env.items() if kind.draw and not kind.partly]
        if self.draws and not self.gradients and self.chance(60):
            statements = [*statements, self.let(env, Call("draw"))]
            drawn.append(statements[-1].name)
        return statements, [*outputs, *(Ref(name) for name in drawn)]

    def drawn(self, env: Env) -> list[Let]:
        """For gradients: a draw that can be returned whole, so that the reference learns it, and what uses it."""
        if not self.gradients or not self.draws or self.in_part or not self.chance(60):
            return []
        if self.chance(50):
            draw = self.let(env, Call("draw"))
        else:
            mean = self.expression(env, (), 1)
            draw = self.let(env, Call("normal", (self.cast(mean, self.kind(mean, env), "float64"),)))
        used = self.let(env, Call(self.pick(["mean", "last"]), (Ref(draw.name),)))
        env[used.name] = replace(env[used.name], draw=False)
        return [draw, used]

    # The program

    def program(self) -> Program:
        self.draws = self.chance(10)
        env: Env = {}
        self.input(env, "float64", (), "argument")
        if self.chance(30):
            self.count_input(env)
        block = self.outermost_block(env)
        names = [name for name, kind in env.items() if not any(one.name == name for one in self.inputs)]
        wanted = [name for name in names if env[name].draw or self.chance(70)] or names[-1:]
        outputs = tuple(Ref(name) for name in wanted)
        draws = tuple(position for position, name in enumerate(wanted) if env[name].draw)
        update = (bool(draws) and not self.gradients) or (
            any(one.kind == "shared" for one in self.inputs) and self.chance(70)
        )
        program = Program(tuple(self.inputs), Block(tuple(block), outputs), update, draws)
        if self.gradients:
            readings = tuple(self.pick(READINGS) for _ in outputs)
            program = replace(program, readings=readings, curvature=self.chance(25))
        return pruned(program)

    def outermost_block(self, env: Env) -> list[Let | Loop]:
        statements = self.block(env, 0)
        placed: list[Let | Loop] = []
        for statement in statements:
            if isinstance(statement, Loop):
                wanted = {sequence.value for sequence in statement.sequences} | _nested_sequences(statement)
                placed += [let for let in self.ranges if let.name in wanted and let not in placed]
            placed.append(statement)
        return placed


def _nested_sequences(loop: Loop) -> set[str]:
    found: set[str] = set()
    for statement in loop.body.statements:
        if isinstance(statement, Loop):
            found |= {sequence.value for sequence in statement.sequences} | _nested_sequences(statement)
    return found
