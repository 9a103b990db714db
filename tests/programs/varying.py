"""Random programs whose sizes differ from step to step of a loop: slices with bounds that a step computes, and inner
loops of such lengths.

Two arrays meet elementwise only where their lengths are equal at every step. So each integer and each length is known
by its values at ``SAMPLES`` imagined steps, drawn for what comes from outside and computed for the rest: lengths are
equal where these are, and a constant where all of them are the same. Where that is wrong, which is rare, the reference
says that sizes do not fit, and the program is left out.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from hypothesis import strategies as st

from tests.programs.gradients import READINGS
from tests.programs.maker import Env, Kind, Maker, Shape
from tests.programs.ops import (
    EMPTY,
    MASKS,
    OPS,
    RANKS,
    REDUCTIONS,
    VARYING,
    index_of,
    operand_dtype,
    varying_dtype,
)
from tests.programs.program import (
    Block,
    Call,
    Expression,
    Let,
    Loop,
    Number,
    Program,
    Ref,
    Sequence,
    State,
    pruned,
)

SAMPLES = 48
DEEPEST = 3
"""How deep loops nest."""

Samples = tuple[int, ...]
Statements = list[Let | Loop]

INTEGER_OPS = ("add", "sub", "mul", "neg", "maximum", "minimum", "half", "count")


def whole(op: str, args: tuple[Expression, ...]) -> Expression:
    """An op on integers, computed where all of them are numbers."""
    numbers = [arg.value for arg in args if isinstance(arg, Number)]
    return Number(int(OPS[op].run(*numbers))) if len(numbers) == len(args) else Call(op, args)


@dataclass
class VaryingMaker(Maker):
    """Makes one program."""

    n: int = 0
    """The length of the program's vectors."""
    lengths: dict[str, Samples] = field(default_factory=dict)
    """Of each size that is a word, its values at the imagined steps."""
    given: set[str] = field(default_factory=set)
    """Inputs of integers."""

    # Integers and lengths

    def imagined(self, origin: str, low: Any, high: Any) -> Samples:
        """An integer from ``low`` to ``high`` at each of the imagined steps."""
        low, high = np.broadcast_to(low, SAMPLES), np.broadcast_to(high, SAMPLES)
        drawn = np.random.default_rng([*origin.encode()]).random(SAMPLES)
        drawn[:4] = [0.0, 0.999, 0.0, 0.999]
        return tuple((low + np.floor(drawn * (high - low + 1))).astype(int).tolist())

    def length(self, samples: Any) -> int | str:
        """The size of an axis that has these lengths."""
        samples = tuple(max(int(one), 0) for one in samples)
        if len(set(samples)) == 1:
            return samples[0]
        word = self.size(("length", samples))
        self.lengths[word] = samples
        return word

    def rows(self, size: int | str) -> np.ndarray[Any, Any]:
        """The lengths of an axis at the imagined steps."""
        return np.asarray(self.lengths[size] if isinstance(size, str) else (size,) * SAMPLES)

    def samples(self, expression: Expression, env: Env) -> Samples | None:
        """The values of an integer expression, ``None`` where they are not known."""
        if isinstance(expression, Number):
            return (int(expression.value),) * SAMPLES if isinstance(expression.value, int) else None
        return self.kind(expression, env).samples

    def kind(self, expression: Expression, env: Env) -> Kind:
        if isinstance(expression, Ref):
            return env[expression.name]
        assert isinstance(expression, Call)
        op, args = expression.op, expression.args
        if op in VARYING or op == "arange":
            return self.varying_kind(expression, env)
        if op in MASKS or op == "join":
            kinds = [self.kind(arg, env) for arg in args]
            rows = [self.rows(kind.shape[0]) for kind in kinds]
            lengths = sum(rows) if op == "join" else self.imagined(repr(expression), 0, rows[0])
            dtype = operand_dtype([kind.dtype for kind in kinds])
            return Kind(dtype, (self.length(lengths), *kinds[0].shape[1:]))
        found = replace(super().kind(expression, env), samples=None, elements=None, loose=self.loose(expression, env))
        if op == "length":
            return replace(found, samples=tuple(self.rows(self.kind(args[0], env).shape[0]).tolist()))
        if op in INTEGER_OPS and found.dtype == "int64" and not found.shape:
            samples = [self.samples(arg, env) for arg in args]
            if all(one is not None for one in samples):
                values = OPS[op].run(*(np.asarray(one) for one in samples))
                return replace(found, samples=tuple(values.tolist()))
        return found

    def loose(self, expression: Expression, env: Env) -> bool:
        """Whether nothing bounds an integer."""
        if not isinstance(expression, Call):
            return isinstance(expression, Ref) and env[expression.name].loose
        loose = [self.loose(arg, env) for arg in expression.args]
        return all(loose) if expression.op == "minimum" else expression.op in INTEGER_OPS and any(loose)

    def varying_kind(self, expression: Call, env: Env) -> Kind:
        op, args = expression.op, expression.args
        kinds = [None if isinstance(arg, Number) else self.kind(arg, env) for arg in args]
        first = kinds[0]
        if op == "arange":
            count = self.samples(args[0], env)
            assert count is not None
            most = tuple(max(one - 1, 0) for one in count)
            return Kind("int64", (self.length(count),), elements=((0,) * SAMPLES, most))
        if op in ("zeros", "ones", "zeros2"):
            return Kind(str(expression.parameter), tuple(self.length(self.samples(arg, env)) for arg in args))
        assert first is not None
        dtype = varying_dtype(op, [first.dtype if kind is None else kind.dtype for kind in kinds], expression.parameter)
        if op == "cut":
            bounds = [self.samples(arg, env) for arg in args[1:]]
            text = str(expression.parameter)
            shape = list(first.shape)
            indices = [
                index_of(text.format(None, *(one[step] for one in bounds if one is not None)))
                for step in range(SAMPLES)
            ]
            for axis in range(len(indices[0])):
                rows = self.rows(shape[axis])
                lengths = [len(range(n)[index[axis]]) for n, index in zip(rows.tolist(), indices, strict=True)]
                shape[axis] = self.length(lengths)
            return replace(first, shape=tuple(shape))
        if op in ("set", "inc"):
            return replace(first, elements=None)
        if op == "above":
            return replace(first, shape=(self.length(self.imagined(repr(expression), 0, self.rows(first.shape[0]))),))
        if op == "take":
            samples = None
            if first.elements is not None and len(first.shape) == 1:
                samples = self.imagined(repr(expression), *first.elements)
            return Kind(dtype, first.shape[1:], samples=samples, loose=samples is not None)
        if op == "sort":
            return first
        if op == "softmax":
            return Kind(dtype, first.shape)
        if op == "dot":
            second = kinds[1]
            assert second is not None
            return Kind(dtype, (*first.shape[:-1], *second.shape[1:]))
        axis = int(expression.parameter or 0)
        shape = [size for one, size in enumerate(first.shape) if one != axis]
        samples = None
        if op == "reduce_argmax" and not shape:
            samples = self.imagined(repr(expression), 0, np.maximum(self.rows(first.shape[0]) - 1, 0))
        return Kind(dtype, tuple(shape), samples=samples)

    # What a step computes

    def integers(self, env: Env, least: int = 0) -> list[str]:
        """Integers that may be bounds, of which none is less than ``least``, the innermost first."""
        found = [name for name, kind in env.items() if kind.samples is not None and min(kind.samples) >= least]
        return found[::-1]

    def integer(self, env: Env, least: int | None = 0) -> Expression:
        """An integer of at least ``least`` that differs from step to step, where the step has one."""
        names = self.integers(env, -99)
        names = names[: self.draw(st.integers(1, 3))]
        base: Expression = Ref(self.pick(names)) if names else Number(self.draw(st.integers(0, self.n)))
        forms = ["same"] * 6 + ["next", "rest", "half", "double", "before", "most", "other", "above"]
        form = self.pick(forms) if names else "same"
        other = Ref(self.pick(names)) if names else base
        n = Number(self.n)
        found: Expression = {
            "same": base,
            "next": whole("add", (base, Number(1))),
            "rest": whole("sub", (n, base)),
            "half": whole("half", (base,)),
            "double": whole("mul", (Number(2), base)),
            "before": whole("maximum", (whole("sub", (base, Number(2))), Number(0))),
            "most": whole("minimum", (base, n)),
            "other": whole("add", (base, other)),
            "above": whole("sub", (base, Number(1))),
        }[form]
        if least is not None and not isinstance(found, Number):
            samples = self.samples(found, env)
            if samples is None or min(samples) < least:
                found = whole("maximum", (found, Number(least)))
        return found

    def count(self, env: Env, most: int | None = None, bounded: bool = False) -> Expression:
        """A number of steps or elements. Mostly the program says what bounds it, unless its use does (``bounded``)."""
        found = self.integer(env, 0)
        samples = self.samples(found, env)
        assert samples is not None
        most = self.n + 1 if most is None else most
        if max(samples) > most:
            found = whole("minimum", (found, Number(most)))
        return found

    def ref(self, env: Env, statements: Statements, expression: Expression) -> str:
        """The name of an expression, a new one where it has none."""
        if isinstance(expression, Ref):
            return expression.name
        statements.append(self.let(env, expression))
        return statements[-1].name

    def arrays(self, env: Env, ndim: int | None = None) -> list[str]:
        return [
            name
            for name, kind in env.items()
            if kind.shape and RANKS[kind.dtype] and (ndim is None or len(kind.shape) == ndim)
        ]

    def varies(self, kind: Kind) -> bool:
        return any(isinstance(size, str) for size in kind.shape)

    def bounds(self, env: Env, kind: Kind) -> tuple[str, tuple[Expression, ...]]:
        """An index and its bounds."""
        axis = self.chance(35) if len(kind.shape) > 1 else 0
        form = self.pick(["tail", "head", "strided", "reversed", "end", "two", "window", "window", "double", "near"])
        if form == "window":
            found = self.window(env, kind, axis)
            form = "two" if found is None else form
        if form == "window":
            assert found is not None
            text, args = found
        elif form == "two":
            text = self.pick(["{1}:{2}", "{1}:{2}", "{2}:{1}:-1", "{1}:{2}:2", "{1}:-1", "1:{1}"])
            args = (self.integer(env), self.integer(env))
        elif form == "double":
            base = self.integer(env)
            text, args = "{1}:{2}", (base, whole("mul", (Number(2), base)))
        elif form == "near":
            base = self.integer(env)
            lowest = whole("maximum", (whole("sub", (base, Number(2))), Number(0)))
            text, args = "{1}:{2}", (lowest, whole("add", (base, Number(1))))
        else:
            text = self.pick(
                {
                    "tail": ["{1}:"],
                    "head": [":{1}"],
                    "strided": ["{1}::2", ":{1}:2"],
                    "reversed": ["{1}::-1", ":{1}:-1"],
                    "end": ["-{1}:", ":-{1}"],
                }[form]
            )
            args = (self.integer(env),)
        if axis:
            return ":, " + text, args
        if len(kind.shape) > 1 and len(args) == 1 and self.chance(10):
            return text + ", :" + "{1}", args
        return text, args

    def window(self, env: Env, kind: Kind, axis: int) -> tuple[str, tuple[Expression, ...]] | None:
        """Bounds of a constant width, where an integer never exceeds what leaves room for it."""
        rows = self.rows(kind.shape[axis])
        width = self.pick([1, 2, 2, 3])
        starts: list[Expression] = []
        for name in self.integers(env)[:4]:
            for times in (width, 1):
                start: Expression = Ref(name) if times == 1 else Call("mul", (Ref(name), Number(times)))
                samples = self.samples(start, env)
                if samples is not None and max(samples) and all(np.asarray(samples) + width <= rows):
                    starts.append(start)
        if not starts:
            return None
        start = self.pick(starts)
        stop: Expression = Call("add", (start, Number(width)))
        if isinstance(start, Call):
            stop = Call("mul", (Call("add", (start.args[0], Number(1))), Number(width)))
        return "{1}:{2}", (start, stop)

    def cut(self, env: Env, name: str) -> Expression:
        """A slice, one that is not always empty if there is such a one among three."""
        for _ in range(3):
            text, args = self.bounds(env, env[name])
            found = Call("cut", (Ref(name), *args), text)
            if 0 not in self.kind(found, env).shape:
                return found
        return Call("cut", (Ref(name), self.integer(env)), ":{1}")

    def part(self, env: Env, statements: Statements) -> str:
        """An array whose length differs from step to step."""
        form = self.pick(["cut"] * 6 + ["arange", "ones", "shift"])
        if form == "arange":
            return self.ref(env, statements, Call("arange", (self.count(env),)))
        if form == "ones":
            return self.ref(env, statements, Call(self.pick(["ones", "zeros"]), (self.count(env),), self.dtype()))
        if form == "shift":
            vectors = [name for name in self.arrays(env, 1) if not self.varies(env[name])]
            if vectors:
                name = self.pick(vectors)
                size = env[name].shape[0]
                k = self.count(env, most=int(size))
                zeros = self.ref(env, statements, Call("zeros", (k,), env[name].dtype))
                rest = Call("cut", (Ref(name), Call("sub", (Call("length", (Ref(name),)), k))), ":{1}")
                rest_name = self.ref(env, statements, rest)
                parts = (Ref(zeros), Ref(rest_name))
                return self.ref(env, statements, Call("join", parts if self.chance(70) else parts[::-1]))
        names = self.arrays(env)
        return self.ref(env, statements, self.cut(env, names[-1] if self.chance(30) else self.pick(names)))

    def mate(self, env: Env, statements: Statements, name: str) -> str | None:
        """Another array of the same shape."""
        shape = env[name].shape
        found: list[Expression] = [Ref(one) for one in self.usable(env, shape) if one != name]
        for statement in statements:
            if isinstance(statement, Let) and statement.name == name:
                found += self.like(env, statement.expression) * 2
        found = [one for one in found if self.kind(one, env).shape == shape]
        return self.ref(env, statements, self.pick(found)) if found else None

    def like(self, env: Env, expression: Expression) -> list[Expression]:
        """Slices that may be of the length of this one: of another array, or from the other end."""
        if not isinstance(expression, Call) or expression.op != "cut" or not isinstance(expression.args[0], Ref):
            return []
        source, *bounds = expression.args
        text = str(expression.parameter)
        texts = [":{1}", "-{1}:", "{1}::-1"] if text in (":{1}", "-{1}:") else [text, text]
        arrays = [one for one in self.usable(env, env[source.name].shape) if self.chance(50) or one == source.name]
        found: list[Expression] = []
        for text in texts:
            for one in arrays[-3:]:
                other = Call("cut", (Ref(one), *bounds), text)
                found += [other] if other != expression else []
        return found

    def changed(self, env: Env, statements: Statements, name: str) -> str:
        """An array made of this one."""
        kind = env[name]
        forms = ["elementwise"] * 4 + ["unary", "unary", "sort", "softmax", "cumsum", "cut", "set", "inc", "mask"]
        forms += ["join", "reverse", "outer", "product"]
        form = self.pick(forms)
        x = Ref(name)
        found: Expression
        if form == "unary":
            found = Call(self.pick(["tanh", "sin", "neg"]), (x,))
        elif form in ("sort", "softmax", "cumsum"):
            found = Call(form, (x,))
        elif form == "reverse":
            found = Call("cut", (x,), "::-1")
        elif form == "cut":
            found = self.cut(env, name)
        elif form in ("set", "inc"):
            part_of = self.cut(env, name)
            assert isinstance(part_of, Call)
            text, args = str(part_of.parameter), part_of.args[1:]
            part = self.kind(part_of, env)
            fits = [one for one in self.usable(env, part.shape) if env[one].dtype == kind.dtype]
            value: Expression = Ref(self.pick(fits)) if fits and self.chance(60) else self.of_dtype(env, (), kind.dtype)
            found = Call(form, (x, value, *args), text.replace("{2}", "{3}").replace("{1}", "{2}"))
        elif form == "mask":
            if len(kind.shape) == 1 and self.chance(40):
                least = self.expression(env, (), 1)
                found = Call("above", (x, self.cast(least, self.kind(least, env), kind.dtype)))
            else:
                found = Call("rows" if len(kind.shape) > 1 else "mask", (x,), self.pick([0, 0, 1, -1]))
        elif form == "join":
            fits = [one for one in self.arrays(env) if env[one].shape[1:] == kind.shape[1:]]
            found = Call("join", (x, Ref(self.pick(fits))))
        elif form in ("outer", "product"):
            found = self.product(env, statements, name, form)
        else:
            mate = self.mate(env, statements, name) if self.chance(60) else None
            if mate is not None:
                other: Expression = Ref(mate)
            elif not self.varies(kind) and self.chance(40):
                other = Ref(self.input(env, kind.dtype, tuple(int(size) for size in kind.shape)))
            elif self.chance(40):
                other = self.number(kind)
            else:
                other = self.expression(env, self.pick([(), kind.shape]), 1)
            found = Call(self.pick(["mul", "mul", "add", "sub", "maximum"]), (x, other))
        return self.ref(env, statements, found)

    def product(self, env: Env, statements: Statements, name: str, form: str) -> Expression:
        """A matrix product with some array that fits, else a product with a number."""
        kind, x = env[name], Ref(name)
        if form == "outer" and len(kind.shape) == 1:
            vectors = [one for one in self.arrays(env, 1) if not self.varies(env[one]) or self.chance(50)]
            if vectors:
                return Call("outer", (x, Ref(self.pick(vectors))))
        if len(kind.shape) < 3:
            after = [
                one
                for one in self.arrays(env)
                if env[one].shape[0] == kind.shape[-1] and 1 <= len(env[one].shape) <= 2 and len(kind.shape) == 2
            ]
            if len(kind.shape) == 2 and isinstance(kind.shape[1], int) and self.chance(40):
                after = [self.input(env, kind.dtype, (kind.shape[1], *self.pick([(), (2,)])))]
            before = [one for one in self.arrays(env, 2) if env[one].shape[-1] == kind.shape[0]]
            if after and (not before or self.chance(50)):
                return Call("dot", (x, Ref(self.pick(after))))
            if before:
                return Call("dot", (Ref(self.pick(before)), x))
        return Call("mul", (x, self.number(kind)))

    def reduced(self, env: Env, statements: Statements, name: str) -> str:
        """A scalar, or an array of constant shape, made of this array."""
        for _ in range(4):
            kind = env[name]
            if not kind.shape or (not self.varies(kind) and self.chance(50)):
                break
            axis = 1 if len(kind.shape) == 2 and self.chance(30) else 0
            if not axis and not min(self.rows(kind.shape[0])) and self.chance(40):
                # A maximum needs an element.
                fits = [one for one in self.arrays(env) if env[one].shape[1:] == kind.shape[1:]]
                fits = [one for one in fits if not isinstance(env[one].shape[0], str) and env[one].shape[0]]
                if fits:
                    name = self.ref(env, statements, Call("join", (Ref(name), Ref(self.pick(fits)))))
                    kind = env[name]
            x = Ref(name)
            never_empty = min(self.rows(kind.shape[axis])) > 0
            never_empty = never_empty and not (len(kind.shape) == 2 and not min(self.rows(kind.shape[1 - axis])))
            ops = ["sum", "dot", *REDUCTIONS, "reduce_sum", "last", "at", "take", "take", "length"]
            ops = [op for op in ops if never_empty or op not in (*EMPTY, "take", "at")]
            ops = [op for op in ops if not self.gradients or op != "reduce_mean" or never_empty]
            ops = [op for op in ops if never_empty or not self.gradients or op != "last" or self.chance(30)]
            op = self.pick(ops)
            if op == "dot":
                mate = self.mate(env, statements, name) if len(kind.shape) == 1 else None
                found: Expression = Call("reduce_sum", (x,), 0) if mate is None else Call("dot", (x, Ref(mate)))
            elif op == "take":
                index = self.integer(env)
                last = Call("sub", (Call("length", (x,)), Number(1)))
                samples = self.samples(index, env)
                if samples is None or any(np.asarray(samples) >= self.rows(kind.shape[0])):
                    index = Call("minimum", (index, last))
                found = Call("take", (x, index))
            elif op in ("sum", "last", "length"):
                found = Call(op, (x,))
            elif op == "at":
                found = Call(op, (x,), 0)
            else:
                found = Call(op, (x,), axis)
            name = self.ref(env, statements, found)
            if env[name].dtype == "bool":
                name = self.ref(env, statements, Call("cast", (Ref(name),), "int64"))
        return name

    def padded(self, env: Env, name: str) -> Expression | None:
        """A stack of a length that differs, followed by zeros."""
        kind = env[name]
        if not self.varies(kind) or len(kind.shape) > 2 or (len(kind.shape) == 2 and isinstance(kind.shape[1], str)):
            return None
        rows = self.rows(kind.shape[0])
        room = Number(max(self.n, int(max(rows))))
        size: Expression = Call("length", (Ref(name),))
        same = [one for one in self.integers(env) if env[one].samples == tuple(rows.tolist())]
        if same and self.chance(70):
            size = Ref(self.pick(same))
        if len(kind.shape) == 1:
            zeros = Call("zeros", (room,), kind.dtype)
        else:
            zeros = Call("zeros2", (room, Number(int(kind.shape[1]))), kind.dtype)
        return Call("set", (zeros, Ref(name), size), ":{2}")

    def computed(self, env: Env, depth: int) -> tuple[Statements, list[str], list[str]]:
        """What a step computes: statements, the names of results of constant shape, and of arrays besides."""
        statements: Statements = []
        results: list[str] = []
        arrays: list[str] = []
        for _ in range(1 + self.chance(50) + self.chance(15)):
            if self.chance(25) and not isinstance(number := self.integer(env, None), Number):
                self.ref(env, statements, number)
            if depth < DEEPEST and self.chance({1: 45}.get(depth, 25)):
                loop = self.varying_loop(env, statements, depth)
                statements.append(loop)
                results += [name for name in loop.outputs if not self.varies(env[name])]
                starts = [name for name in loop.outputs if self.varies(env[name]) and RANKS[env[name].dtype]]
            else:
                starts = [self.part(env, statements)]
            for name in starts:
                for _ in range(self.draw(st.integers(0, 2))):
                    arrays.append(name)
                    if len(env[name].shape) < 3:
                        name = self.changed(env, statements, name)
                arrays.append(name)
                results.append(self.reduced(env, statements, name))
        return statements, results, arrays

    # Loops

    def varying_loop(self, env: Env, before: Statements, depth: int) -> Loop:
        """A loop; inside of another one, one whose number of steps differs from step to step of that."""
        name = self.named("l")
        until = self.chance(12 if depth else 15)
        sequences, n_steps, steps = (self.inner_length if depth else self.outer_length)(env, before)
        states = [self.varying_state(env) for _ in range(self.draw(st.integers(0, 2)))]
        n_maps = self.draw(st.integers(0 if states else 1, 2))
        inner, passed = self.body_env(env, sequences, states)
        statements, results, arrays = self.computed(inner, depth + 1)
        outputs = [self.state_output(inner, state, kind, results) for state, kind in states]
        outputs += [self.step_output(inner, results, arrays) for _ in range(n_maps)]
        entries = [state for state, _ in states] + [None] * n_maps
        condition = self.condition(inner, ()) if until else None
        env.update({one: kind for one, kind in inner.items() if one not in env and one in self.outermost})
        lengths = self.imagined(name, np.minimum(steps, 1), steps) if until else steps
        names = tuple(f"{name}_{position}" for position in range(len(outputs)))
        for one, output in zip(names, outputs, strict=True):
            kind = self.kind(output, inner)
            env[one] = Kind(kind.dtype, (self.length(lengths), *kind.shape))
        return Loop(
            name,
            names,
            Block(tuple(statements), tuple(outputs)),
            tuple(entries),
            tuple(sequences),
            tuple(passed),
            n_steps,
            self.chance(20),
            (),
            condition,
        )

    def outer_length(
        self, env: Env, before: Statements
    ) -> tuple[list[Sequence], int | Ref | None, np.ndarray[Any, Any]]:
        """The sequences of an outermost loop, its ``n_steps``, and its number of steps at the imagined steps."""
        form = self.pick(["range", "range", "range", "ks", "ks", "both", "steps", "counted"])
        names: list[str] = []
        if form in ("range", "both"):
            vectors = [name for name in self.arrays(env, 1) if env[name].shape[0] == self.n]
            size: Expression = Number(self.n)
            if vectors and self.chance(60):
                size = Call("length", (Ref(self.pick(vectors)),))
            less = self.pick([0, 0, 0, 1, 2])
            if less:
                size = whole("sub", (size, Number(less)))
            names.append(self.ref(env, before, Call("arange", (size,))))
        if form == "counted":
            counts = [one for one, kind in env.items() if kind.count] or [self.count_input(env)]
            env[counts[0]] = replace(env[counts[0]], samples=self.imagined(counts[0], 0, 6))
            names.append(self.ref(env, before, Call("arange", (Ref(counts[0]),))))
        if form in ("ks", "both"):
            names.append(self.integer_input(env, (self.n,)))
        if form == "both" or self.chance(40):
            names.append(self.input(env, self.dtype(), (self.n, *self.pick([(), (), (2,)]))))
        n_steps = self.draw(st.integers(1, self.n)) if form == "steps" else None
        sequences = [Sequence(one, (0,), (self.named("u"),)) for one in names]
        steps = np.min([self.rows(env[one].shape[0]) for one in names], 0) if names else self.rows(n_steps or 0)
        return sequences, n_steps, np.asarray(steps) if n_steps is None else self.rows(n_steps)

    def integer_input(self, env: Env, shape: tuple[int, ...]) -> str:
        """An input of integers from 0 to ``n``, or less."""
        most = self.n - self.pick([0, 0, 0, 2])
        name = self.input(env, "int64", shape, most=most)
        self.given.add(name)
        elements = ((0,) * SAMPLES, (most,) * SAMPLES)
        samples = None if shape else self.imagined(name, *elements)
        env[name] = replace(env[name], samples=samples, elements=elements if shape else None, count=False)
        return name

    def inner_length(
        self, env: Env, before: Statements
    ) -> tuple[list[Sequence], int | Ref | None, np.ndarray[Any, Any]]:
        """Likewise, of a loop whose length differs between steps of the one around it."""
        form = self.pick(["steps", "steps", "range", "range", "cut", "cut", "taken", "least", "two", "whole"])
        names: list[str] = []
        n_steps: int | Ref | None = None
        if form in ("steps", "taken", "least"):
            count = self.count(env)
            if self.gradients and self.chance(60):
                count = whole("maximum", (count, Number(1)))
            if form == "taken":
                fits = [one for one in self.arrays(env) if not isinstance(env[one].shape[0], str)]
                long = self.pick(fits)
                names.append(long)
                count = self.count(env, most=int(env[long].shape[0]), bounded=True)
            elif form == "least":
                long = self.pick(self.arrays(env))
                names.append(long)
                count = Call("minimum", (count, Call("length", (Ref(long),))))
            n_steps = count.value if isinstance(count, Number) else Ref(self.ref(env, before, count))
            steps = np.asarray(self.samples(count, env))
            if self.chance(20):
                fits = [one for one in self.arrays(env) if all(self.rows(env[one].shape[0]) >= steps)]
                names += [self.pick(fits)] if fits else []
        elif form == "range":
            names.append(self.ref(env, before, Call("arange", (self.count(env),))))
        elif form == "whole":
            names.append(self.pick([one for one in self.arrays(env) if not isinstance(env[one].shape[0], str)]))
        else:
            names.append(self.ref(env, before, self.cut(env, self.pick(self.arrays(env)))))
            if form == "two":
                mate = self.mate(env, before, names[0])
                names.append(self.pick(self.arrays(env)) if mate is None else mate)
        sequences = []
        lengths = []
        for one in dict.fromkeys(names):
            taps = self.pick([(0, 1), (-1, 0), (-1,)]) if n_steps is None and self.chance(15) else (0,)
            span = max(*taps, 0) - min(*taps, 0)
            lengths.append(np.maximum(self.rows(env[one].shape[0]) - span, 0))
            sequences.append(Sequence(one, taps, tuple(self.named("u") for _ in taps)))
        return sequences, n_steps, np.min(lengths, 0) if n_steps is None else steps

    def varying_state(self, env: Env) -> tuple[State, Kind]:
        """A state and the kind of its past values: a number, a vector, or an integer that may be a length."""
        form = self.pick(["scalar"] * 4 + ["integer", "vector", "vector", "taps"])
        if form == "integer":
            name = self.integer_input(env, ())
            past = self.named("h")
            kind = Kind("int64", (), samples=self.imagined(past, 0, self.n), count=True, loose=True)
            return State(Ref(name), (-1,), (past,)), kind
        shape: Shape = self.pick([(2,), (self.n,)]) if form == "vector" else ()
        taps = self.pick([(-2, -1), (-2,)]) if form == "taps" else (-1,)
        dtype = "float64" if self.gradients else self.pick(["float64", "float64", "float32"])
        initial = self.input(env, dtype, (2, *shape) if form == "taps" else tuple(int(size) for size in shape))
        return State(Ref(initial), taps, tuple(self.named("h") for _ in taps)), Kind(dtype, shape)

    def body_env(
        self, env: Env, sequences: list[Sequence], states: list[tuple[State, Kind]]
    ) -> tuple[Env, list[tuple[str, str]]]:
        """What a step sees: closures, slices, past values, and non-sequences."""
        inner = dict(env)
        passed = [(self.pick(env), self.named("w"))] if self.chance(30) else []
        inner.update({name: env[outer] for outer, name in passed})
        for sequence in sequences:
            kind = env[sequence.value]
            for name in sequence.names:
                scalar = len(kind.shape) == 1 and kind.elements is not None
                samples = self.imagined(name, *kind.elements) if scalar and kind.elements else None
                elements = None if scalar else kind.elements
                loose = scalar and sequence.value in self.given
                inner[name] = Kind(kind.dtype, kind.shape[1:], samples=samples, elements=elements, loose=loose)
        for state, kind in states:
            inner.update(dict.fromkeys(state.names, kind))
        return inner, passed

    def state_output(self, env: Env, state: State, kind: Kind, results: list[str]) -> Expression:
        """What a step gives for a state."""
        if kind.samples is not None:
            number = self.integer(env)
            return whole("maximum", (whole("minimum", (number, Number(self.n))), Number(0)))
        past: Expression = Ref(self.pick(state.names))
        fits = [name for name in results if env[name].shape in ((), kind.shape)]
        if kind.shape == (self.n,) and self.chance(50):
            text, args = self.bounds(env, kind)
            value = Call("tanh", (Ref(self.pick(fits)),)) if fits else self.expression(env, (), 1)
            if self.kind(value, env).shape:
                value = self.expression(env, (), 1)
            value = self.cast(value, self.kind(value, env), kind.dtype)
            text = text.replace("{2}", "{3}").replace("{1}", "{2}")
            return Call(self.pick(["set", "inc"]), (past, value, *args), text)
        if not fits or self.chance(20):
            return self.of_dtype(env, kind.shape, kind.dtype)
        found = Call("add", (Call("mul", (past, Number(0.5))), Call("tanh", (Ref(self.pick(fits)),))))
        return self.cast(found, self.kind(found, env), kind.dtype)

    def step_output(self, env: Env, results: list[str], arrays: list[str]) -> Expression:
        """What a step gives that no later one reads."""
        if self.chance(30):
            padded = [found for name in arrays if RANKS[env[name].dtype] and (found := self.padded(env, name))]
            if padded:
                return self.pick(padded)
        fits = [name for name in results if not self.varies(env[name]) and len(env[name].shape) < 3]
        if fits and not self.chance(10):
            found: Expression = Ref(self.pick(fits[::-1]))
            if self.chance(25) and RANKS[env[fits[0]].dtype]:
                found = Call("mul", (Call("tanh", (found,)), self.expression(env, (), 1)))
            return found
        return self.expression(env, ())

    # The program

    def program(self) -> Program:
        self.n = self.draw(st.integers(3, 4 if self.gradients else 6))
        env: Env = {}
        self.input(env, "float64", (), "argument")
        self.input(env, "float64", (self.n,), "argument")
        if self.chance(50):
            self.input(env, self.dtype(), (self.n,))
        if self.chance(50):
            rows = self.n * 2 if self.chance(30) and not self.gradients else self.n
            self.input(env, self.dtype(), (rows, self.pick([2, 2, 3])))
        if self.chance(30):
            self.integer_input(env, ())
        if self.chance(25):
            name = self.count_input(env)
            env[name] = replace(env[name], samples=self.imagined(name, 0, 6))
        statements: Statements = []
        wanted: list[str] = []
        for _ in range(1 + self.chance(25)):
            loop = self.varying_loop(env, statements, 0)
            statements.append(loop)
            wanted += [name for name in loop.outputs if self.chance(80)] or [loop.outputs[0]]
        outputs = tuple(Ref(name) for name in dict.fromkeys(wanted))
        program = Program(tuple(self.inputs), Block(tuple(statements), outputs))
        if self.gradients:
            readings = tuple(self.pick(READINGS) for _ in outputs)
            program = replace(program, readings=readings, curvature=self.chance(15))
        return pruned(program)
