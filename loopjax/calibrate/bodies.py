"""Generated loops: random bodies over op mix, sizes, number of states and lengths, with and without a gradient.

A body is a list of instructions on states, rows of sequences and parameters. It runs by LoopJAX and, for comparison,
by a plain ``jax.lax.scan``: an instruction calls functions that ``loopjax.tensor`` and ``jax.numpy`` share. All values
stay of the order of 1: no loop overflows, and none converges to 0 through denormal numbers, which are slow.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

import loopjax
import loopjax.tensor as at

WORK = 4e6
"""Values that a loop computes, at most: 1 to 40 ms."""

ARITHMETIC: dict[str, Callable[[Any, Any, Any], Any]] = {
    "mix": lambda f, a, b: 0.6 * a + 0.3 * b + 0.1,
    "product": lambda f, a, b: 0.4 * a * b + 0.3,
    "difference": lambda f, a, b: 0.5 * (a - b) + 0.1,
    "maximum": lambda f, a, b: f.maximum(a, b),
    "where": lambda f, a, b: f.where(a > b, a, 0.9 * b + 0.1),
}
FUNCTIONS: dict[str, Callable[[Any, Any, Any], Any]] = {
    "quotient": lambda f, a, b: a / (1.0 + b * b),
    "sqrt": lambda f, a, b: 0.7 * f.sqrt(1.0 + a * b * b * a),
    "tanh": lambda f, a, b: f.tanh(a + b),
    "exp": lambda f, a, b: f.exp(-f.abs(a)) * b + 0.1,
    "log": lambda f, a, b: f.log(1.1 + a * a),
    "log1p": lambda f, a, b: f.log1p(a * a),
    "sin": lambda f, a, b: f.sin(a),
    "logaddexp": lambda f, a, b: f.logaddexp(a, b) - 0.7,
}
MOVES: dict[str, Callable[[Any, Any, Any], Any]] = {
    "roll": lambda f, a, b: f.concatenate([a[..., 1:], b[..., :1]], axis=-1),
    "gather": lambda f, a, b: a[..., b],
}
REDUCTIONS: dict[str, Callable[[Any, Any, Any], Any]] = {
    "center": lambda f, a, b: 0.6 * (a - b.mean(axis=-1, keepdims=True)) + 0.3,
    "normalize": lambda f, a, b: a / (1.0 + f.abs(b).sum(axis=-1, keepdims=True)) + 0.1,
}
PRODUCTS: dict[str, Callable[[Any, Any, Any], Any]] = {"matmul": lambda f, a, b: a @ b + 0.3}
"""The instructions; ``f`` is ``loopjax.tensor`` or ``jax.numpy``. The second operand of a product is its matrix."""
INSTRUCTIONS = {**ARITHMETIC, **FUNCTIONS, **MOVES, **REDUCTIONS, **PRODUCTS}
LARGEST_MATRIX = 64


@dataclass(frozen=True)
class Body:
    """A generated loop.

    ``code`` holds instructions with the places of their operands among states, rows, parameters and earlier results.
    The last results are the next states. ``result``: the last state, the stack of the first one, or the sum over all
    steps of the last instruction.
    """

    shape: tuple[int, ...]
    dtype: str
    n_states: int
    n_rows: int
    n_steps: int
    code: tuple[tuple[str, int, int], ...]
    result: str
    gradient: bool

    def __str__(self) -> str:
        ops = " ".join(name for name, *_ in self.code)
        kind = f"{self.result}{', gradient' * self.gradient}"
        states = f"{self.n_states} x {self.dtype}{list(self.shape)}"
        return f"{self.n_steps} steps of {states}, {self.n_rows} rows: {ops}; {kind}"

    def arrays(self) -> list[np.ndarray[Any, Any]]:
        """Initial states, sequences, a parameter and a matrix."""
        rng = np.random.default_rng(0)
        last = self.shape[-1] if self.shape else 1
        shapes = [*[self.shape] * self.n_states, *[(self.n_steps, *self.shape)] * self.n_rows, self.shape]
        values = [rng.uniform(-1.0, 1.0, shape) for shape in shapes]
        if self.multiplies:
            values.append(rng.uniform(-1.0, 1.0, (last, last)) * 0.7 / last)
        return [np.asarray(value, self.dtype) for value in values]

    @property
    def multiplies(self) -> bool:
        return any(name in PRODUCTS for name, *_ in self.code)

    def step(self, f: Any, states: Sequence[Any], rows: Sequence[Any], fixed: Sequence[Any]) -> tuple[list[Any], Any]:
        """The next states, and what is summed."""
        values = [*states, *rows, fixed[0]]
        second = {
            "matmul": fixed[-1],
            "gather": np.random.default_rng(0).permutation(self.shape[-1:][0] if self.shape else 1),
        }
        for name, a, b in self.code:
            values.append(INSTRUCTIONS[name](f, values[a], second.get(name, values[b])))
        after = values[-self.n_states :]
        return after, values[-1]

    def symbolic(self, mode: Any, unroll: int | None = None) -> loopjax.Function:
        """The function by LoopJAX."""
        arrays = self.arrays()
        inputs = [at.tensor(self.dtype, shape=(None,) * array.ndim) for array in arrays]
        states, rows, fixed = self._split(inputs)

        def step(*values: Any) -> Any:
            given, pasts = values[: self.n_rows], values[self.n_rows : self.n_rows + self.n_states]
            after, y = self.step(at, pasts, given, values[self.n_rows + self.n_states :])
            return [*after, y] if self.result == "sum" else after

        start = [*states, None] if self.result == "sum" else states
        outputs, _ = loopjax.scan(
            step,
            sequences=rows,
            outputs_info=start,
            non_sequences=fixed,
            n_steps=self.n_steps,
            unroll=unroll,
            return_list=True,
        )
        result = {"last": lambda: outputs[0][-1], "stack": lambda: outputs[0], "sum": lambda: outputs[-1].sum(axis=0)}
        out = result[self.result]()
        if self.gradient:
            cost = out.sum() if out.ndim else out
            wrt = [*states, *fixed]
            out = [cost, *loopjax.grad(cost, wrt, disconnected_inputs="ignore")]
        return loopjax.function(inputs, out, mode=mode, results="jax", on_unused_input="ignore")

    def plain(self) -> Callable[..., Any]:
        """The program by ``jax.lax.scan``, as a competent user writes it."""

        def run(*arrays: Any) -> Any:
            states, rows, fixed = self._split(arrays)

            def step(carry: Any, rows: Any) -> Any:
                carry, total = carry
                after, y = self.step(jnp, carry, rows, fixed)
                if self.result == "sum":
                    total = total + y
                return (after, total), after[0] if self.result == "stack" else None

            (after, total), stack = lax.scan(step, (states, jnp.zeros_like(states[0])), rows, self.n_steps)
            return {"last": after[0], "stack": stack, "sum": total}[self.result]

        if not self.gradient:
            return run
        rows = range(self.n_states, self.n_states + self.n_rows)
        wrt = tuple(place for place in range(len(self.arrays())) if place not in rows)
        return jax.value_and_grad(lambda *arrays: run(*arrays).sum(), argnums=wrt)

    def _split(self, values: Sequence[Any]) -> tuple[list[Any], list[Any], list[Any]]:
        cut = self.n_states + self.n_rows
        return list(values[: self.n_states]), list(values[self.n_states : cut]), list(values[cut:])


def generate(rng: np.random.Generator) -> Body:
    """A random loop."""

    def spread(low: float, high: float) -> int:
        return round(math.exp(rng.uniform(math.log(low), math.log(high))))

    n_states, n_rows = int(rng.choice([1, 1, 1, 2, 2, 3, 4, 8])), int(rng.integers(0, 3))
    count = max(spread(1, 10), n_states)
    size = spread(1, 1e5)
    kinds = [(ARITHMETIC, 5.0), (FUNCTIONS, float(rng.choice([0.0, 2.0, 5.0])))]
    shape: tuple[int, ...] = () if rng.random() < 0.25 else (size,)
    if shape and rng.random() < 0.3:
        last = min(size, spread(1, 1000))
        shape = (max(size // last, 1), last)
    if shape:
        kinds += [(MOVES, float(rng.choice([0.0, 0.0, 1.0]))), (REDUCTIONS, float(rng.choice([0.0, 0.0, 1.0])))]
    if shape and shape[-1] <= LARGEST_MATRIX:
        kinds.append((PRODUCTS, float(rng.choice([0.0, 1.0]))))
    weights = np.array([weight for _, weight in kinds])
    available = n_states + n_rows + 1
    unread = list(range(available - 1))
    code = []
    for place in range(available, available + count):
        names = kinds[int(rng.choice(len(kinds), p=weights / weights.sum()))][0]
        operands = [
            unread.pop(int(rng.integers(len(unread)))) if unread and rng.random() < 0.7 else int(rng.integers(place))
            for _ in range(2)
        ]
        code.append((str(rng.choice(list(names))), operands[0], operands[1]))
        unread.append(place)
    work = math.prod(shape) * count * (shape[-1] if any(name in PRODUCTS for name, *_ in code) else 1)
    n_steps = spread(10, max(min(1e5, WORK / work), 12))
    result = str(rng.choice(["last", "last", "stack", "sum"]))
    dtype = str(rng.choice(["float32", "float64"]))
    return Body(shape, dtype, n_states, n_rows, n_steps, tuple(code), result, bool(rng.random() < 0.5))
