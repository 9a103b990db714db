"""The reference: a program as plain Python loops over NumPy arrays.

It knows what scan's semantics say and nothing of how LoopJAX works. Where rounding could decide (a comparison of nearly
equal numbers, a chaotic recurrence), it raises ``Undecided``, and the program says nothing about either side.

For finite differences a run is compared with one at the point itself, its ``Course``: what another run computes on
other branches says nothing of the gradient, and steps that gradients do not flow through stay what they were there.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tests.programs.ops import (
    DRAWS,
    MASKS,
    OPS,
    ORDERED,
    VARYING,
    index_of,
    operand_dtype,
    read_dtype,
    result_dtype,
    slice_of,
    varying_dtype,
)
from tests.programs.program import Block, Call, Expression, Input, Let, Loop, Number, Program, Ref, State, names_in

Array = np.ndarray[Any, Any]
Values = dict[str, Any]

HOST_OPS = {"add", "sub", "mul", "neg", "maximum", "minimum", "count", "length"}
"""Integer ops that are computed on the host, so that what they decide is known before a call."""

EPSILON = {"float32": 2.0**-20, "float64": 2.0**-49}
"""Eight roundings: what noise adds to each result, to see whether rounding grows."""

MARGIN = {"float32": 1e-3, "float64": 1e-6}
"""Nearer than this, two numbers may compare one way here and another way there."""


Place = tuple[tuple[str, int], ...]
"""Where a run is: the loops that it is inside of, the outermost first, and their steps."""


class Undecided(Exception):
    """Rounding decides what the program computes."""


class OtherBranch(Undecided):
    """A run nearby takes another branch."""


@dataclass
class Steps:
    """What a loop computed: its initial values, and for each step its outputs and the shared variables after it."""

    initial: list[list[Any] | None]
    carried: list[dict[str, Array]]
    """One more than there are steps: those before the first too."""
    rows: list[list[Array]] = field(default_factory=list)


@dataclass
class Course:
    """What a run went through."""

    branches: dict[Place, list[bytes]] = field(default_factory=dict)
    """What was compared, rounded or counted at each place."""
    steps: dict[tuple[Place, str], Steps] = field(default_factory=dict)
    """Of loops that gradients flow through in part."""
    noise: dict[tuple[Place, str], Array] = field(default_factory=dict)
    """Draws without their mean."""


def value_of(one: Input, call: int) -> Array:
    """The value of an input at call number ``call``; shared variables and constants have one value."""
    if one.counts is not None:
        return np.asarray(one.counts[call], one.dtype)
    rng = np.random.default_rng([call if one.kind == "argument" else 0, *one.name.encode()])
    if one.most is not None:
        return np.asarray(rng.integers(0, one.most + 1, one.shape))
    if one.dtype == "int64":
        return np.asarray(rng.integers(-3, 5, one.shape))
    return np.asarray(np.round(rng.uniform(-1.0, 1.0, one.shape), 4).astype(one.dtype))


class Reference:
    """Runs a program. ``noise`` perturbs each floating-point result by a few roundings.

    ``draws`` are the stacks of what the program draws, by name. ``nearby``: the course of the run that this one is
    compared with; ``OtherBranch`` where they part.
    """

    def __init__(
        self, program: Program, noise: bool = False, draws: Values | None = None, nearby: Course | None = None
    ) -> None:
        self.program = program
        self.course = Course()
        self.single = False
        """Whether float32 occurred."""
        self.may_raise = False
        """Whether shapes show an index to be out of bounds in a loop that no step reaches: ``IndexError`` is right."""
        self.may_refuse = False
        """Whether shapes show a sequence to be too short in a loop that no step reaches: ``ValueError`` is right."""
        self._rng = np.random.default_rng(0) if noise else None
        self._host: set[str] = set()
        self._device: set[str] = set()
        self._place: Place = ()
        self._guessing = 0
        self._draws = draws
        self._nearby = nearby

    def call(self, arguments: Values, state: Values) -> tuple[list[Array], Values]:
        """The outputs for these values of arguments and constants, and the state after the call."""
        env: Values = {**arguments, **state}
        self._host = {one.name for one in self.program.inputs if one.dtype == "int64"}
        self._device = set()
        with np.errstate(all="ignore"):
            outputs = self._block(self.program.block, env)
        after = dict(state)
        if self.program.update:
            for statement in self.program.block.statements:
                if isinstance(statement, Loop):
                    after.update({shared: env[name] for shared, name, _ in statement.updates})
        return outputs, after

    def _block(self, block: Block, env: Values) -> list[Array]:
        """The block's outputs; what its statements name is added to ``env``."""
        for statement in block.statements:
            if isinstance(statement, Loop):
                self._loop(statement, env)
                continue
            expression = statement.expression
            if isinstance(expression, Call) and expression.op in DRAWS:
                env[statement.name] = self._drawn(statement.name, expression, env)
            else:
                env[statement.name] = self._strong(self._evaluate(expression, env))
            self._note(statement)
        return [self._strong(self._evaluate(output, env)) for output in block.outputs]

    def _drawn(self, name: str, expression: Call, env: Values) -> Array:
        mean = [self._evaluate(arg, env) for arg in expression.args]
        if self._draws is None or self._guessing:
            return np.zeros(4, read_dtype(expression.op, ""))
        position = tuple(t for _, t in self._place)
        stack = self._draws[name]
        if any(t >= length for t, length in zip(position, stack.shape, strict=False)):
            if self._nearby is not None:
                raise OtherBranch("a step that the run nearby does not reach")
            raise AssertionError(f"{name} is not drawn at step {position}")
        if not mean:
            return np.asarray(stack[position])
        if self._nearby is not None:
            return np.asarray(mean[0] + self._nearby.noise[self._place, name])
        self.course.noise[self._place, name] = stack[position] - mean[0]
        return np.asarray(stack[position])

    def _branch(self, taken: Any) -> None:
        """Notes what decides where the run goes on."""
        if self._guessing:
            return
        found = self.course.branches.setdefault(self._place, [])
        found.append(np.asarray(taken).tobytes())
        if self._nearby is None:
            return
        there = self._nearby.branches.get(self._place, [])
        if len(there) < len(found) or there[len(found) - 1] != found[-1]:
            raise OtherBranch("a run nearby takes another branch")

    def _note(self, statement: Let) -> None:
        """What the host knows of a value: integers computed from arguments and shapes."""
        read = set(names_in(statement.expression))
        if read & self._device:
            self._device.add(statement.name)
        if self._place:
            return
        if self._on_host(statement.expression):
            self._host.add(statement.name)
        elif isinstance(statement.expression, Call) and statement.expression.op in ("arange", "upto", "from", *MASKS):
            self._device.add(statement.name)

    def _on_host(self, expression: Expression) -> bool:
        if isinstance(expression, Ref):
            return expression.name in self._host
        if isinstance(expression, Number):
            return isinstance(expression.value, int)
        if expression.op == "length":
            return not set(names_in(expression)) & self._device
        return expression.op in HOST_OPS and all(self._on_host(arg) for arg in expression.args)

    def _evaluate(self, expression: Expression, env: Values) -> Any:
        if isinstance(expression, Number):
            return expression.value
        if isinstance(expression, Ref):
            return env[expression.name]
        args = [self._evaluate(arg, env) for arg in expression.args]
        if expression.op in VARYING:
            return self._checked(self._varying(expression, args))
        if expression.op not in OPS:
            return self._checked(self._read(expression, args))
        return self._checked(self._elementwise(expression, args))

    def _elementwise(self, expression: Call, args: list[Any]) -> Array:
        op = OPS[expression.op]
        dtypes = [str(arg.dtype) if isinstance(arg, np.ndarray) else arg for arg in args]
        to = result_dtype(expression.op, dtypes, expression.parameter)
        if expression.op == "cast":
            self._check_cast(args[0], to)
        elif op.result == "branches":
            args = [args[0], *(np.asarray(arg).astype(to) for arg in args[1:])]
        else:
            meeting = operand_dtype(dtypes) if op.result == "bool" else to
            args = [np.asarray(arg).astype(meeting) for arg in args]
            if op.result == "bool" and expression.op != "and":
                self._check_comparison(*args)
            if expression.op in ("maximum", "minimum"):
                self._branch(np.sign(args[0] - args[1]))
        try:
            result = np.asarray(op.run(*args)).astype(to)
        except ValueError as error:
            raise Undecided("sizes do not fit") from error
        if to in ("bool", "int64"):
            self._branch(result)
        return self._noisy(result)

    def _varying(self, expression: Call, args: list[Any]) -> Array:
        """An op of ``VARYING``; ``Undecided`` where it has no value."""
        op, parameter = expression.op, expression.parameter
        dtypes = [str(arg.dtype) if isinstance(arg, np.ndarray) else arg for arg in args]
        to = varying_dtype(op, dtypes, parameter)
        given = [np.asarray(arg) for arg in args]
        axis = parameter if isinstance(parameter, int) else 0
        if op in ORDERED:
            self._check_order(op, given[0], axis)
        if op in ("reduce_any", "reduce_all"):
            self._check_comparison(given[0], np.full((), 0.15 if op == "reduce_any" else -0.15, given[0].dtype))
        if op == "above":
            self._check_comparison(*(one.astype(operand_dtype(dtypes)) for one in given))
            self._branch(given[0] > given[1])
        if op == "dot" or VARYING[op].result in ("total", "float"):
            given = [one.astype(to) for one in given]
        try:
            taken: Any = index_of(str(parameter).format(*args)) if op in ("cut", "set", "inc") else parameter
            result = np.asarray(VARYING[op].run(*given, taken)).astype(to)
        except (ValueError, IndexError) as error:
            raise Undecided("sizes do not fit") from error
        if to in ("bool", "int64"):
            self._branch(result)
        return self._noisy(result) if VARYING[op].result in ("total", "float", "common") else result

    def _check_order(self, op: str, value: Array, axis: int) -> None:
        if self._guessing:
            return
        self._branch(np.argsort(value, axis, kind="stable"))
        if op == "reduce_argmax" and value.shape[axis] > 1:
            ordered = np.moveaxis(np.sort(value, axis), axis, 0)
            self._check_comparison(ordered[-1], ordered[-2])

    def _noisy(self, value: Array) -> Array:
        if self._rng is None or value.dtype.kind != "f":
            return value
        spread = EPSILON[str(value.dtype)] * self._rng.uniform(-1, 1, value.shape)
        return np.asarray((value * (1 + spread)).astype(value.dtype))

    def _checked(self, value: Any) -> Any:
        if value.dtype == "float32":
            self.single = True
        if value.dtype.kind == "f" and not self._guessing and np.any(np.abs(value[~np.isnan(value)]) > 1e9):
            raise Undecided("numbers grow")
        return value

    def _check_comparison(self, a: Array, b: Array) -> None:
        if a.dtype.kind != "f" or self._guessing:
            return
        if np.any(np.abs(a - b) <= MARGIN[str(a.dtype)] * (1 + np.abs(a) + np.abs(b))):
            raise Undecided("a comparison of nearly equal numbers")

    def _check_cast(self, value: Array, dtype: str) -> None:
        if value.dtype.kind != "f" or dtype != "int64" or self._guessing:
            return
        if np.any(np.isnan(value)) or np.any(np.abs(value - np.rint(value)) < MARGIN[str(value.dtype)]):
            raise Undecided("a whole number or NaN is truncated")

    def _read(self, expression: Call, args: list[Any]) -> Array:
        op, k = expression.op, expression.parameter
        x = np.asarray(args[0])
        if op == "arange":
            return np.arange(int(x))
        dtype = read_dtype(op, str(x.dtype))
        if op == "length":
            return np.asarray(len(x), dtype)
        if op == "slice":
            return x[slice_of(str(k))]
        if op in ("upto", "from"):
            return x[: int(args[1])] if op == "upto" else x[int(args[1]) :]
        if op in MASKS:
            column = x if op == "mask" else x[:, 0]
            self._check_comparison(column, np.asarray(k, column.dtype))
            self._branch(column > k)
            return x[column > k]
        if op == "put":
            result = np.array(x)
            result[slice_of(str(k))] = args[1]
            return result
        if op in ("join", "outer"):
            a, b = (one.astype(operand_dtype([str(arg.dtype) for arg in args])) for one in args)
            return np.concatenate([a, b]) if op == "join" else self._noisy(a[:, None] * b[None, :])
        if op == "cumsum":
            return self._noisy(np.cumsum(x, 0))
        if op in ("sum", "mean"):
            total = x.astype(dtype).sum(0, dtype=dtype)
            return self._noisy(np.asarray(total if op == "sum" else total / np.asarray(len(x), dtype)).astype(dtype))
        index = {"last": -1, "back": -int(k or 0), "at": int(k or 0)}[op]
        if -len(x) <= index < len(x):
            return np.asarray(x[index])
        if not self._guessing:
            raise IndexError(f"{index} of {len(x)} rows")
        self.may_raise = True
        return np.full(x.shape[1:], _fill(dtype), dtype)

    def _strong(self, value: Any) -> Array:
        return np.asarray(value)

    def _loop(self, loop: Loop, env: Values) -> None:
        """Adds the loop's stacked outputs and final shared values to ``env``."""
        sequences = [np.asarray(env[sequence.value]) for sequence in loop.sequences]
        lows = [min(*sequence.taps, 0) for sequence in loop.sequences]
        spans = [max(*s.taps, 0) - low for s, low in zip(loop.sequences, lows, strict=True)]
        trimmed = [len(x) - span for x, span in zip(sequences, spans, strict=True)]
        n_steps = self._n_steps(loop, trimmed, env)
        carried = {shared: env[shared] for shared, _, _ in loop.updates}
        histories = [None if state is None else self._initial(state, env) for state in loop.states]
        guess = None
        if n_steps == 0 or any(history is not None and isinstance(history[0], int | float) for history in histories):
            guess = self._guess(loop, env, sequences, histories)
            histories = [
                None if history is None else [np.asarray(row).astype(output.dtype) for row in history]
                for history, output in zip(histories, guess, strict=True)
            ]
            # What else a step gives follows from the dtype that a number took.
            guess = self._guess(loop, env, sequences, histories)
        n_steps, steps = self._held(loop, n_steps, Steps(histories, [carried]))
        histories = [
            None if initial is None else [*initial, *(row[position] for row in steps.rows)]
            for position, initial in enumerate(steps.initial)
        ]
        for t in range(len(steps.rows), n_steps):
            inner = {**env, **steps.carried[-1]}
            for sequence, x, low, length in zip(loop.sequences, sequences, lows, trimmed, strict=True):
                position = length - 1 - t if loop.go_backwards else t
                slices = {name: x[position + k - low] for k, name in zip(sequence.taps, sequence.names, strict=True)}
                inner.update({name: np.asarray(value) for name, value in slices.items()})
            outputs, carried, stopped = self._step(loop, inner, histories, t)
            steps.rows.append(outputs)
            steps.carried.append(carried)
            for history, output in zip(histories, outputs, strict=True):
                if history is not None:
                    history.append(output)
            if stopped:
                break
        self._branch(len(steps.rows))
        for position, name in enumerate(loop.outputs):
            column = [row[position] for row in steps.rows]
            if len({row.shape for row in column}) > 1:
                raise Undecided("steps give different sizes")
            if column:
                env[name] = np.stack(column)
            else:
                assert guess is not None
                env[name] = np.zeros((0, *guess[position].shape), guess[position].dtype)
        carried = steps.carried[-1]
        env.update({name: carried[shared] for shared, name, _ in loop.updates})
        self._note_loop(loop)

    def _held(self, loop: Loop, n_steps: int, begin: Steps) -> tuple[int, Steps]:
        """How many steps there are, and those that are not run: where gradients do not flow through them, they are
        what they were in the run nearby, and so is all that they start from."""
        if loop.truncate is None or self._guessing:
            return n_steps, begin
        self.course.steps[self._place, loop.name] = begin
        if self._nearby is None:
            return n_steps, begin
        there = self._nearby.steps.get((self._place, loop.name))
        if there is None:
            raise OtherBranch("a loop that the run nearby does not reach")
        count = len(there.rows)
        if count <= loop.truncate and loop.truncate:
            return n_steps, begin
        first = max(count - loop.truncate, 0)
        return count, Steps(there.initial, there.carried[: first + 1], there.rows[:first])

    def _n_steps(self, loop: Loop, trimmed: list[int], env: Values) -> int:
        if loop.n_steps is None:
            return max(min(trimmed), 0)
        n_steps = loop.n_steps if isinstance(loop.n_steps, int) else int(env[loop.n_steps.name])
        short = any(length < n_steps for length in trimmed)
        if short and not self._guessing:
            raise ValueError(f"a sequence is too short for {n_steps} steps")
        self.may_refuse = self.may_refuse or short
        return min(n_steps, *trimmed) if self._guessing and trimmed else n_steps

    def _note_loop(self, loop: Loop) -> None:
        known = loop.until is None and not any(sequence.value in self._device for sequence in loop.sequences)
        if isinstance(loop.n_steps, Ref):
            known = known and loop.n_steps.name in self._host and not self._place
        if not known:
            self._device.update(loop.outputs)

    def _initial(self, state: State, env: Values) -> list[Any]:
        """The values before the first step, the oldest first. A number has no dtype of its own."""
        if isinstance(state.initial, Number):
            return [state.initial.value]
        value = np.asarray(env[state.initial.name])
        return [value] if state.taps == (-1,) else list(value[: -min(state.taps)])

    def _step(
        self, loop: Loop, inner: Values, histories: list[list[Any] | None], t: int
    ) -> tuple[list[Array], dict[str, Array], bool]:
        for state, history in zip(loop.states, histories, strict=True):
            if state is not None and history is not None:
                inner.update({name: np.asarray(history[k]) for k, name in zip(state.taps, state.names, strict=True)})
        inner.update({name: inner[outer] for outer, name in loop.non_sequences})
        outside, self._place = self._place, (*self._place, (loop.name, t))
        outputs = self._block(loop.body, inner)
        carried = {shared: self._strong(self._evaluate(new, inner)) for shared, _, new in loop.updates}
        stopped = loop.until is not None and bool(self._evaluate(loop.until, inner))
        self._place = outside
        return outputs, carried, stopped

    def _guess(self, loop: Loop, env: Values, sequences: list[Array], histories: list[list[Any] | None]) -> list[Array]:
        """What one step on zeros gives: the shapes and dtypes of outputs where no step runs."""
        self._guessing += 1
        seen = self.single
        inner = dict(env)
        for sequence, x in zip(loop.sequences, sequences, strict=True):
            inner.update(dict.fromkeys(sequence.names, np.zeros(x.shape[1:], x.dtype)))
        outputs = self._step(loop, inner, histories, 0)[0]
        # An index that shapes show to be out of bounds may raise, also where no step would read there.
        self.single = seen
        self._guessing -= 1
        return outputs


def _fill(dtype: str) -> Any:
    """What a read out of bounds gives on the device."""
    if dtype == "bool":
        return False
    return np.nan if dtype.startswith("float") else np.iinfo(dtype).min
