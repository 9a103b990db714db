"""Regret of the model's decisions: the time of the plan chosen over that of the best alternative.

Alternatives of a generated loop are each optional rewrite left out, each of several unroll factors, ``FAST_COMPILE``,
and the plain ``jax.lax.scan``; those that lower to the same program as another are not measured. XLA's executables are
timed, all called alike: what a call takes besides is no decision of the model. Samples are interleaved. The best of
many noisy samples seems better than it is, so the best alternative is compared with the plan chosen once more, in
pairs.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax

from loopjax.calibrate.bodies import Body
from loopjax.calibrate.timing import sampler
from loopjax.runtime.function import Function
from loopjax.runtime.interleaved_timer import compare
from loopjax.runtime.mode import Mode

UNROLLS, MOST_OPS = (1, 2, 4, 8), 32
"""Forced unroll factors, and instructions of an iteration up to which they are tried: XLA compiles for seconds."""

DECISIONS = (
    *("remat", "unroll", "vmap", "tiling", "loop_prologue", "loop_epilogue", "reduction_fusion", "producer_fusion"),
    *("saved_windows", "fuse_products", "expand_products", "vectorize_states", "small_loops"),
)
"""The rewrites that decide by sizes."""

ROUNDS, SECONDS = 5, 2.0
"""Samples of each alternative, and time limit of the last comparison."""

HOPELESS = 1.5
"""Ratio to the best at which an alternative is sampled no more."""


class Regret(NamedTuple):
    """The regret of a loop, its best alternative, ``""`` for the plan chosen, the ratio of its time to that of the
    plain loop, and the regret where no unroll factor is forced."""

    body: Body
    regret: float
    best: str
    plain: float
    unforced: float


def measured(body: Body) -> Regret:
    """Measure the regret of a loop."""
    arrays = [jax.device_put(array) for array in body.arrays()]
    samples: dict[str, Callable[[], float]] = {}
    codes = set()
    for name, function in _alternatives(body):
        lowered = function.lower(*arrays)
        code = lowered.as_text()
        if code not in codes:
            codes.add(code)
            samples[name] = sampler(partial(lowered.compile(), *_read(function, arrays)))
    seconds = {name: sample() for name, sample in samples.items()}
    for _ in range(ROUNDS - 1):
        least = min(seconds.values())
        for name, sample in samples.items():
            if seconds[name] < HOPELESS * least or name in ("", "plain"):
                seconds[name] = min(seconds[name], sample())
    best = min(seconds, key=lambda name: seconds[name])
    again = compare(samples[best], samples[""], 0.0, time.perf_counter() + SECONDS).median if best else 1.0
    plain = seconds[""] / seconds.get("plain", seconds[""])
    unforced = seconds[""] / min(value for name, value in seconds.items() if not name.startswith("unroll"))
    return Regret(body, max(again, 1.0), best if again > 1.0 else "", plain, min(unforced, max(again, 1.0)))


def _read(function: Any, arrays: Sequence[Any]) -> Sequence[Any]:
    """The arrays that the executable of a function of one stage takes."""
    if not isinstance(function, Function):
        return arrays
    (stage,) = function.stages
    values = function.bucket.values(arrays)
    return [values[variable] for variable in stage.stage.graph.inputs]


def _alternatives(body: Body) -> Iterator[tuple[str, Any]]:
    yield "", body.symbolic(Mode())
    yield "plain", jax.jit(body.plain())
    yield "FAST_COMPILE", body.symbolic("FAST_COMPILE")
    for rewrite in DECISIONS:
        yield f"without {rewrite}", body.symbolic(Mode().excluding(rewrite))
    for count in UNROLLS:
        if count * len(body.code) <= MOST_OPS:
            yield f"unroll={count}", body.symbolic(Mode(), count)
