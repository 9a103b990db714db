"""Cost of a call over that of ``jax.jit``: ``python -m benchmarks.calls``.

Tiny programs, so that what is measured is the call itself. Each is beside the same program of ``jax.jit``, its state
passed by hand; a figure is the least of many interleaved samples, since noise only adds. ``general`` is the path of a
call that is the first of its kind, over a call that repeats.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Any

import jax
import numpy as np

import loopjax
import loopjax.tensor as at

Call = Callable[[], Any]


def main() -> None:
    """Run the command; prints a line for each kind of call."""
    one, two, vector = jax.device_put(np.float32(1)), jax.device_put(np.float32(2)), np.ones(8, np.float32)
    x, y, v = at.fscalar("x"), at.fscalar("y"), at.fvector("v")
    total, count = loopjax.shared(np.float32(0)), loopjax.shared(np.int32(0))
    plus, twice, times = (
        loopjax.function([x], x + 1),
        loopjax.function([v], v * 2),
        loopjax.function([x, y], x * y),
    )
    counter = loopjax.function([], count, updates={count: count + 1})
    summing = loopjax.function([x, y], [x * y, total], updates={total: total + x})
    jit_plus, jit_twice, jit_times = jax.jit(lambda x: x + 1), jax.jit(lambda v: v * 2), jax.jit(lambda x, y: x * y)
    step_count, counted = jax.jit(lambda count: (count, count + 1)), jax.device_put(np.int32(0))
    step_total, summed = jax.jit(lambda total, x, y: ([x * y, total], total + x)), jax.device_put(np.float32(0))

    def jit_counter() -> Any:
        nonlocal counted
        result, counted = step_count(counted)
        return result

    def jit_summing() -> Any:
        nonlocal summed
        result, summed = step_total(summed, x=one, y=two)
        return result

    calls: dict[str, tuple[Call, Call]] = {
        "by position": (lambda: plus(one), lambda: jit_plus(one)),
        "a NumPy array": (lambda: twice(vector), lambda: jit_twice(vector)),
        "by keyword": (lambda: times(x=one, y=two), lambda: jit_times(x=one, y=two)),
        "a counter": (counter, jit_counter),
        "state and keywords": (lambda: summing(x=one, y=two), jit_summing),
    }
    calls.update((f"{count} states", _of_states(count)) for count in (1, 5, 20))
    general: dict[str, tuple[Call, Call]] = {
        "by position": (lambda: plus.call_general((one,), {}), lambda: plus(one)),
        "a counter": (lambda: counter.call_general((), {}), counter),
        "state and keywords": (
            lambda: summing.call_general((), {"x": one, "y": two}),
            lambda: summing(x=one, y=two),
        ),
    }
    for title, pairs in (("call: us here, by jax.jit", calls), ("general: us, repeated", general)):
        print(title)
        for name, seconds in zip(pairs, _least(pairs.values()), strict=True):
            print(f"  {name:20} {1e6 * seconds[0]:6.2f} {1e6 * seconds[1]:6.2f}   {seconds[0] / seconds[1]:.2f}")


def _of_states(count: int) -> tuple[Call, Call]:
    """Calls that update ``count`` shared variables, and the same by ``jax.jit`` with the state in a list.

    Both wait for their result: what several results cost that are not ready depends on the threads of the machine.
    """
    x, one = at.fscalar("x"), jax.device_put(np.float32(1))
    held = [loopjax.shared(np.float32(0)) for _ in range(count)]
    function = loopjax.function([x], 2 * x, updates={state: state + x for state in held})
    jitted = jax.jit(lambda states, x: (2 * x, [state + x for state in states]))
    states = [jax.device_put(np.float32(0)) for _ in range(count)]

    def by_jit() -> Any:
        nonlocal states
        result, states = jitted(states, one)
        return result.block_until_ready()

    return lambda: function(one).block_until_ready(), by_jit


def _least(pairs: Any, rounds: int = 60, calls: int = 400) -> Sequence[list[float]]:
    """Seconds of a call, the least over interleaved samples."""
    found = [[float("inf")] * 2 for _ in pairs]
    for _ in range(rounds):
        for seconds, pair in zip(found, pairs, strict=True):
            for side, call in enumerate(pair):
                call()
                start = perf_counter()
                for _ in range(calls):
                    call()
                seconds[side] = min(seconds[side], (perf_counter() - start) / calls)
    return found


if __name__ == "__main__":
    main()
