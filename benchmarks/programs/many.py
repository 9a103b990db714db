"""Several loops, and loops of many states."""

from __future__ import annotations

from typing import Any


def averages(aesara: Any, rates: list[float]) -> Any:
    """Moving averages of ``x (T, series)``, a separate loop for each rate."""
    at = aesara.tensor
    x = at.fmatrix("x")

    def average(rate: Any) -> Any:
        means, _ = aesara.scan(
            fn=lambda x_t, mean: mean + rate * (x_t - mean), sequences=x, outputs_info=at.zeros_like(x[0])
        )
        return means

    return aesara.function([x], [average(at.constant(rate, dtype="float32")) for rate in rates])


def ring(aesara: Any, count: int, steps: int) -> Any:
    """Gradient with respect to ``start (count,)`` of the squares of scalar states that each follow the next."""
    at = aesara.tensor
    start = at.fvector("start")

    def step(*states: Any) -> list[Any]:
        after = [*states[1:], states[0]]
        return [at.tanh(one + 0.1 * (other - one)) for one, other in zip(states, after, strict=True)]

    found, updates = aesara.scan(fn=step, outputs_info=[start[i] for i in range(count)], n_steps=steps)
    cost = sum((one[-1] ** 2 for one in found[1:]), found[0][-1] ** 2)
    return aesara.function([start], aesara.grad(cost, start), updates=updates)
