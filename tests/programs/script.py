"""A program as a Python script that builds it with LoopJAX, runs it and compares with the values of the reference."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import Any

import numpy as np

from loopjax.runtime.mode import read_mode
from tests.programs.ops import OPS, READS, VARYING
from tests.programs.program import Call, Expression, Input, Let, Loop, Number, Program, Ref, State
from tests.programs.reference import Array, Reference, Undecided, value_of

TOLERANCE = {False: (1e-9, 1e-10), True: (2e-5, 2e-5)}
"""Relative and absolute, without float32 and with it: some 10 times what rounding does to a program that is kept."""

HEAD = """\
import numpy as np

import loopjax
import loopjax.tensor as at

nan = float("nan")
SETTINGS


def same(found, expected):
    for position, (one, other) in enumerate(zip(found, expected, strict=True)):
        if other is None:
            continue
        one, place = np.asarray(one), f"output {position}"
        assert one.dtype == other.dtype, f"{place} is {one.dtype}, expected {other.dtype}"
        assert one.shape == other.shape, f"{place} has shape {one.shape}, expected {other.shape}"
        np.testing.assert_allclose(one, other, rtol=RTOL, atol=ATOL, err_msg=place)
"""

DRAWN = """\


def distinct(calls, positions):
    rows = np.concatenate([np.asarray(found[i]).reshape(-1, 4) for found in calls for i in positions])
    rows = rows[~np.isnan(rows).any(1)]
    assert ((rows >= 0) & (rows < 1)).all(), "a draw is outside of [0, 1)"
    assert len(np.unique(rows, axis=0)) == len(rows), "two draws are equal"
"""

PREFIX = {"float64": "d", "float32": "f", "int64": "l"}


def head(rtol: float, atol: float) -> str:
    """What a script starts with: of the settings, the rewrites that are left out now."""
    left_out = sorted(read_mode(None).without)
    settings = f"loopjax.config.mode = loopjax.Mode({left_out})\n" if left_out else ""
    return HEAD.replace("RTOL", str(rtol)).replace("ATOL", str(atol)).replace("SETTINGS\n", settings)


def source(program: Program) -> str:
    """The script. Raises ``Undecided`` where rounding decides what the program computes."""
    outcome = _Outcome(program)
    lines = [head(*TOLERANCE[outcome.single])]
    if program.draws:
        lines.append(DRAWN)
    body = "\n".join([*definitions(program), *_function(program), "", *outcome.calls()])
    if outcome.error is not None:
        body = textwrap.indent(body, "    ")
        name = outcome.error.__name__
        caught = ", ".join(dict.fromkeys([name, *outcome.allowed]))
        body = f'try:\n{body}\nexcept ({caught}):\n    pass\nelse:\n    raise AssertionError("expected {name}")'
    elif outcome.allowed:
        caught = ", ".join(outcome.allowed)
        body = f"try:\n{textwrap.indent(body, '    ')}\nexcept ({caught}):\n    pass  # what only the run knows"
    return "\n".join([*lines, "", body, ""])


class _Outcome:
    """What two calls of a program give, by the reference."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.error: type[Exception] | None = None
        plain, noisy = Reference(program), Reference(program, noise=True)
        state, shaken = state_of(program), state_of(program)
        self.outputs: list[list[Array]] = []
        for call in range(2):
            arguments = arguments_of(program, call)
            try:
                outputs, state = plain.call(arguments, state)
            except (IndexError, ValueError) as error:
                self.error = type(error)
                break
            self.outputs.append(outputs)
            others, shaken = noisy.call(arguments, shaken)
            rtol, atol = TOLERANCE[plain.single]
            for one, other in zip([*outputs, *state.values()], [*others, *shaken.values()], strict=True):
                if not np.allclose(one, other, rtol=rtol / 10, atol=atol / 10, equal_nan=True):
                    raise Undecided("rounding grows")
        self.state = state
        self.single = plain.single
        self.allowed = ["IndexError"] * plain.may_raise + ["ValueError"] * plain.may_refuse

    def calls(self) -> Iterator[str]:
        """The lines that call the function and compare."""
        program = self.program
        texts = [given(program, arguments_of(program, call)) for call in range(2)]
        count = 2 if self.error is None else len(self.outputs) + 1
        for call in range(count):
            yield f"found_{call} = f({texts[call]})"
            if call < len(self.outputs):
                expected = [
                    None if position in program.draws else output for position, output in enumerate(self.outputs[call])
                ]
                yield f"same(found_{call}, {listed(expected)})"
        if self.error is not None:
            return
        for one in program.of_kind("shared"):
            yield f"same([{one.name}.get_value()], [{literal(self.state[one.name])}])"
        if program.draws:
            yield f"distinct([found_0, found_1], {list(program.draws)})"
            yield f"again = [fixed({texts[0]}) for _ in range(2)]"
            yield f"for i in {list(program.draws)}:"
            yield "    np.testing.assert_array_equal(again[0][i], again[1][i])"


def state_of(program: Program) -> dict[str, Any]:
    """The values of the shared variables before the first call."""
    return {one.name: value_of(one, 0) for one in program.of_kind("shared")}


def names_of_arguments(program: Program) -> str:
    """The inputs of the function, written."""
    return ", ".join(one.name for one in program.of_kind("argument"))


def given(program: Program, values: dict[str, Any]) -> str:
    """The arguments of a call, written."""
    return ", ".join(literal(values[one.name]) for one in program.of_kind("argument"))


def arguments_of(program: Program, call: int) -> dict[str, Any]:
    """The values of arguments and constants at a call."""
    return {one.name: value_of(one, call) for one in program.inputs if one.kind != "shared"}


def definitions(program: Program) -> Iterator[str]:
    """The lines that make the variables."""
    if program.draws:
        yield "stream = loopjax.random.RandomStream(7)"
    for one in program.inputs:
        yield f"{one.name} = {_declared(one)}"
    for statement in program.block.statements:
        yield from _statement(statement, "")


def _function(program: Program) -> Iterator[str]:
    names = names_of_arguments(program)
    outputs = ", ".join(written(output) for output in program.block.outputs)
    yield f"f = loopjax.function([{names}], [{outputs}], {options_of(program)})"
    if program.draws:
        yield f'fixed = loopjax.function([{names}], [{outputs}], no_default_updates=True, on_unused_input="ignore")'


def options_of(program: Program) -> str:
    """What ``function`` gets besides inputs and outputs."""
    top = [statement.name for statement in program.block.statements if isinstance(statement, Loop)]
    updates = f"updates={{{', '.join(f'**{name}_updates' for name in top)}}}"
    return f'{updates if program.update else "no_default_updates=True"}, on_unused_input="ignore"'


def _declared(one: Input) -> str:
    if one.kind == "shared":
        return f'loopjax.shared({literal(value_of(one, 0))}, name="{one.name}")'
    if one.kind == "constant":
        return f"at.constant({literal(value_of(one, 0))})"
    kind = ("scalar", "vector", "matrix")[len(one.shape)]
    return f'at.{PREFIX[one.dtype]}{kind}("{one.name}")'


def _statement(statement: Let | Loop, indent: str) -> Iterator[str]:
    if isinstance(statement, Let):
        yield f"{indent}{statement.name} = {written(statement.expression)}"
        return
    loop = statement
    arguments = [name for sequence in loop.sequences for name in sequence.names]
    arguments += [name for state in loop.states if state for name in state.names]
    arguments += [name for _, name in loop.non_sequences]
    yield ""
    yield f"{indent}def {loop.name}_step({', '.join(arguments)}):"
    for inner in loop.body.statements:
        yield from _statement(inner, indent + "    ")
    yield f"{indent}    return {_returned(loop)}"
    yield ""
    outputs = f"[{', '.join(loop.outputs)}]" if loop.outputs else "_"
    yield f"{indent}{outputs}, {loop.name}_updates = loopjax.scan({loop.name}_step, {', '.join(_options(loop))})"
    for shared, after, _ in loop.updates:
        yield f"{indent}{after} = {loop.name}_updates[{shared}]"


def _options(loop: Loop) -> Iterator[str]:
    if loop.sequences:
        entries = [
            s.value if s.taps == (0,) else f'{{"input": {s.value}, "taps": {list(s.taps)}}}' for s in loop.sequences
        ]
        yield f"sequences=[{', '.join(entries)}]"
    if any(loop.states):
        yield f"outputs_info=[{', '.join(_info(state) for state in loop.states)}]"
    if loop.non_sequences:
        yield f"non_sequences=[{', '.join(outer for outer, _ in loop.non_sequences)}]"
    if loop.n_steps is not None:
        yield f"n_steps={loop.n_steps.name if isinstance(loop.n_steps, Ref) else loop.n_steps}"
    if loop.go_backwards:
        yield "go_backwards=True"
    if loop.unroll is not None:
        yield f"unroll={loop.unroll}"
    if loop.truncate is not None:
        yield f"truncate_gradient={loop.truncate}"
    if loop.checkpoint is not None:
        yield f"checkpoint={loop.checkpoint}"
    yield "return_list=True"


def _info(state: State | None) -> str:
    if state is None:
        return "None"
    initial = written(state.initial)
    return initial if state.taps == (-1,) else f'{{"initial": {initial}, "taps": {list(state.taps)}}}'


def _returned(loop: Loop) -> str:
    outputs = [written(output) for output in loop.body.outputs]
    parts = [outputs[0] if len(outputs) == 1 else f"[{', '.join(outputs)}]"] if outputs else []
    if loop.updates:
        parts.append(f"{{{', '.join(f'{shared}: {written(new)}' for shared, _, new in loop.updates)}}}")
    if loop.until is not None:
        parts.append(f"loopjax.until({written(loop.until)})")
    return ", ".join(parts)


def written(expression: Expression) -> str:
    """An expression as source."""
    if isinstance(expression, Ref):
        return expression.name
    if isinstance(expression, Number):
        return repr(expression.value) if expression.value >= 0 else f"({expression.value!r})"
    assert isinstance(expression, Call)
    op, parameter = expression.op, expression.parameter
    args = [written(arg) for arg in expression.args]
    text = OPS[op].text if op in OPS else VARYING[op].text if op in VARYING else READS[op]
    if op in ("cut", "set", "inc"):
        parameter = str(parameter).format(*args)
    return text.format(*args, parameter=parameter)


def listed(values: list[Any]) -> str:
    """A list of arrays as source, ``None`` for what is not compared."""
    return f"[{', '.join('None' if value is None else literal(value) for value in values)}]"


def literal(value: Array) -> str:
    """An array as source."""
    rows = np.asarray(value).tolist()
    shape = f".reshape({value.shape})" if not value.size else ""
    return f'np.array({rows!r}, dtype="{value.dtype}"){shape}'
