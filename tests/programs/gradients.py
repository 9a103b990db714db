"""A program as a script that compares gradients of a cost with finite differences of the reference.

The cost reads each floating-point output in one of ``READINGS``. It is differentiated with respect to all
floating-point arguments and shared variables, and for some programs twice, along a direction. All is in float64, also
what ``floatX`` decides: programs are made, written and run ``in_double``.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import loopjax
from tests.programs.program import Block, Expression, Let, Loop, Program, Ref, loops
from tests.programs.reference import Array, Course, Reference, Undecided, Values, value_of
from tests.programs.running import Failed, run
from tests.programs.script import (
    arguments_of,
    definitions,
    given,
    head,
    listed,
    literal,
    names_of_arguments,
    options_of,
    state_of,
    written,
)

TOLERANCE = (1e-7, 1e-8)
CURVATURE_TOLERANCE = (1e-5, 1e-6)

READINGS: dict[str, tuple[str, Callable[[Array], Any]]] = {
    "sum": ("({}).sum()", lambda x: x.sum()),
    "squares": ("({0} * {0}).sum()", lambda x: (x * x).sum()),
    "sines": ("at.sin({}).sum()", lambda x: np.sin(x).sum()),
    "last": ("({})[-1].sum()", lambda x: x[-1].sum()),
}
"""How a cost reads an output: source, and what NumPy computes."""


@contextlib.contextmanager
def in_double() -> Iterator[None]:
    """While it lasts, ``floatX`` is float64."""
    loopjax.config.floatX = "float64"
    try:
        yield
    finally:
        loopjax.config.floatX = os.environ.get("LOOPJAX_FLOATX") or None


def gradient_source(program: Program) -> str:
    """The script. Raises ``Undecided`` where finite differences say nothing of the gradient."""
    point = _Point(program)
    wrt = point.wrt
    lines = [
        head(*TOLERANCE),
        'loopjax.config.floatX = "float64"',
        "",
        *definitions(program),
        f"cost = {' + '.join(point.terms)}",
        f'gradients = loopjax.grad(cost, [{", ".join(wrt)}], disconnected_inputs="ignore")',
    ]
    expected = [np.asarray(point.cost), *(point.gradient(name) for name in wrt)]
    found = "cost, *gradients"
    if program.curvature and not any(loop.truncate is not None for loop in loops(program.block)):
        direction = {name: _direction(name, value) for name, value in point.values(wrt).items()}
        lines += _curvature(direction)
        found += ", curvature"
        value = point.curvature(direction)
        lines_after = [f"np.testing.assert_allclose(found[-1], {value!r}, *{CURVATURE_TOLERANCE})"]
    else:
        lines_after = []
    lines += [
        f"f = loopjax.function([{names_of_arguments(program)}], [{found}], {options_of(program)})",
        f"found = f({given(program, point.arguments)})",
        f"same(found[:{1 + len(wrt)}], {listed(expected)})",
        *lines_after,
    ]
    for one in program.of_kind("shared"):
        lines.append(f"same([{one.name}.get_value()], [{literal(point.after[one.name])}])")
    return "\n".join([*lines, ""])


def _curvature(direction: Values) -> Iterator[str]:
    """The second derivative along a direction."""
    yield f"direction = {listed(list(direction.values()))}"
    yield "slope = sum((one * to).sum() for one, to in zip(gradients, direction, strict=True))"
    yield f'more = loopjax.grad(slope, [{", ".join(direction)}], disconnected_inputs="ignore")'
    yield "curvature = sum((one * to).sum() for one, to in zip(more, direction, strict=True))"


def _direction(name: str, value: Array) -> Array:
    return np.asarray(np.round(np.random.default_rng([*name.encode()]).uniform(0.2, 1.0, value.shape), 2))


class _Point:
    """The arguments of the first call, and what the reference computes there and nearby."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self._state = state_of(program)
        self.arguments = arguments_of(program, 0)
        self._draws = _drawn(program, self.arguments)
        reference = Reference(program, draws=self._draws)
        try:
            outputs, self.after = reference.call(self.arguments, self._state)
            self._reads = list(_reads(program, outputs))
            self.cost = self._read(outputs)
        except (IndexError, ValueError) as error:
            raise Undecided("an error is expected") from error
        except AssertionError as error:
            raise Failed(str(error)) from error
        self._course: Course = reference.course
        self.wrt = [
            one.name
            for one in program.inputs
            if one.kind != "constant" and one.dtype == "float64" and value_of(one, 0).size
        ]
        if not self._reads or not self.wrt:
            raise Undecided("nothing to differentiate")
        if reference.may_raise or reference.may_refuse or not np.isfinite(self.cost):
            raise Undecided("a read out of bounds")

    @property
    def terms(self) -> list[str]:
        outputs = self._program.block.outputs
        return [f"{weight} * {READINGS[how][0].format(written(outputs[at]))}" for at, weight, how in self._reads]

    def values(self, names: list[str]) -> Values:
        return {name: {**self.arguments, **self._state}[name] for name in names}

    def _read(self, outputs: list[Array]) -> float:
        return float(sum(weight * READINGS[how][1](outputs[at]) for at, weight, how in self._reads))

    def _moved(self, moved: Values) -> float:
        """The cost where some arguments and shared variables have other values."""
        arguments, state = ({name: moved.get(name, own[name]) for name in own} for own in (self.arguments, self._state))
        reference = Reference(self._program, draws=self._draws, nearby=self._course)
        return self._read(reference.call(arguments, state)[0])

    def gradient(self, name: str) -> Array:
        """By central differences of fourth order; ``Undecided`` where two step sizes disagree."""
        here = self.values([name])[name]
        grad = np.zeros_like(here)

        def slope(index: tuple[int, ...], step: float) -> float:
            sides = []
            for times in (1, -1, 2, -2):
                moved = here.copy()
                moved[index] += times * step
                sides.append(self._moved({name: moved}))
            return (8 * (sides[0] - sides[1]) - (sides[2] - sides[3])) / (12 * step)

        for index in np.ndindex(*grad.shape):
            grad[index] = slope(index, 1e-3)
            _agree(grad[index], slope(index, 5e-4), TOLERANCE)
        return grad

    def curvature(self, direction: Values) -> float:
        """The second derivative along a direction, likewise."""
        here = self.values(list(direction))

        def second(step: float) -> float:
            near = [
                self._moved({name: np.asarray(here[name] + times * step * direction[name]) for name in here})
                for times in (-2, -1, 1, 2)
            ]
            return (16 * (near[1] + near[2]) - near[0] - near[3] - 30 * self.cost) / (12 * step * step)

        _agree(second(4e-3), found := second(2e-3), CURVATURE_TOLERANCE)
        return found


def _agree(one: float, other: float, tolerance: tuple[float, float]) -> None:
    rtol, atol = tolerance
    if not abs(one - other) <= (atol + rtol * abs(one)) / 3:
        raise Undecided("finite differences are not accurate")


def _reads(program: Program, outputs: list[Array]) -> Iterator[tuple[int, float, str]]:
    """The positions of outputs that the cost reads, their weights, and how they are read."""
    for position, (how, value) in enumerate(zip(program.readings, outputs, strict=True)):
        if value.dtype == "float64":
            yield position, round(0.3 + 0.2 * position, 1), "sum" if not value.ndim and how == "last" else how


def _drawn(program: Program, arguments: Values) -> Values:
    """The stacks of what the program draws in its first call, as LoopJAX draws without derivatives, by name."""
    if not program.draws:
        return {}
    outputs = [program.block.outputs[position] for position in program.draws]
    texts = ", ".join(written(output) for output in outputs)
    lines = [
        head(*TOLERANCE),
        'loopjax.config.floatX = "float64"',
        "",
        *definitions(program),
        f"f = loopjax.function([{names_of_arguments(program)}], [{texts}], {options_of(program)})",
        f"drawn = f({given(program, arguments)})",
    ]
    try:
        names = run("\n".join(lines))
    except Failed as failed:
        if isinstance(failed.__cause__, IndexError | ValueError) and _may_fail(program, arguments):
            raise Undecided("an error is expected") from None
        raise
    return {
        _draw(program.block, output): np.asarray(stack) for output, stack in zip(outputs, names["drawn"], strict=True)
    }


def _may_fail(program: Program, arguments: Values) -> bool:
    """Whether the program, were its draws zeros, would read out of bounds or ask for more steps than there are."""
    reference = Reference(program)
    try:
        reference.call(arguments, state_of(program))
    except (IndexError, ValueError):
        return True
    return reference.may_raise or reference.may_refuse


def _draw(block: Block, output: Expression) -> str:
    """The name, in the innermost body, of the draw that an output stacks."""
    assert isinstance(output, Ref)
    for statement in block.statements:
        if isinstance(statement, Let) and statement.name == output.name:
            return statement.name
        if isinstance(statement, Loop) and output.name in statement.outputs:
            return _draw(statement.body, statement.body.outputs[statement.outputs.index(output.name)])
    raise AssertionError(f"{output.name} is not drawn")
