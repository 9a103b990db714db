"""``compare``: time against memory of a user's own loop, over what ``checkpoint`` can be."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Any, NamedTuple

import jax
import numpy as np

PLANS: tuple[Any, ...] = (None, 1, "sqrt", "log")
"""What ``compare`` tries unless told."""


class Cost(NamedTuple):
    """What one plan costs: ``seconds`` of a call (the median), and ``bytes`` of temporaries that XLA allots."""

    plan: str
    seconds: float
    bytes: int


class Comparison(NamedTuple):
    """A ``Cost`` for each plan; prints as a table."""

    costs: tuple[Cost, ...]

    def __str__(self) -> str:
        width = max(len(cost.plan) for cost in self.costs)
        lines = [f"{'checkpoint':<{max(width, 10)}}  {'ms':>10}  {'MB':>10}"]
        lines += [
            f"{cost.plan:<{max(width, 10)}}  {1e3 * cost.seconds:>10.3f}  {cost.bytes / 1e6:>10.3f}"
            for cost in self.costs
        ]
        return "\n".join(lines)

    def __repr__(self) -> str:
        return str(self)

    def plot(self, path: Any = None) -> Any:
        """Time against memory, both logarithmic; the figure of matplotlib, saved where a ``path`` is given.

        Raises ``ImportError`` where matplotlib is not installed: it is in the extra ``loopjax[plot]``.
        """
        if importlib.util.find_spec("matplotlib") is None:
            raise ImportError("a plot needs matplotlib; install it with pip install 'loopjax[plot]'")
        figure = importlib.import_module("matplotlib.figure").Figure(layout="constrained")
        axes = figure.subplots()
        axes.loglog([cost.bytes / 1e6 for cost in self.costs], [1e3 * cost.seconds for cost in self.costs], "o")
        for cost in self.costs:
            axes.annotate(cost.plan, (cost.bytes / 1e6, 1e3 * cost.seconds), xytext=(4, 4), textcoords="offset points")
        axes.set(xlabel="temporaries [MB]", ylabel="time of a call [ms]")
        if path is not None:
            figure.savefig(path)
        return figure


def compare(build: Callable[[Any], Any], *args: Any, plans: Sequence[Any] = PLANS, repeats: int = 7) -> Comparison:
    """Time and memory of a function for each plan, so that one can be chosen.

    ``build(checkpoint)`` writes the loop with ``scan(..., checkpoint=checkpoint)`` and returns the ``function`` that is
    to be called with ``args``. ``plans`` are what ``scan`` takes: ``None`` for its own choice, an int, a word,
    ``Every``, ``Budget``, a policy. The functions run in turn, ``repeats`` times after a first call that compiles.
    Shared variables that a function updates change with every call. Raises what ``scan`` and the calls raise, and
    ``ValueError`` for no plans or repeats.

        def build(checkpoint):
            h, _ = loopjax.scan(step, outputs_info=h0, n_steps=2000, checkpoint=checkpoint)
            return loopjax.function([h0], loopjax.grad(h[-1].sum(), h0))

        print(compare(build, np.ones(20_000), plans=[None, "sqrt", Budget(states=41)]))
    """
    if not plans or repeats < 1:
        raise ValueError(f"compare needs at least one plan and one repeat, got {list(plans)} and {repeats}")
    wait: Callable[[Any], Any] = jax.block_until_ready
    functions = [build(plan) for plan in plans]
    for function in functions:
        wait(function(*args))
    samples: list[list[float]] = [[] for _ in functions]
    for _ in range(repeats):
        for function, seconds in zip(functions, samples, strict=True):
            start = perf_counter()
            wait(function(*args))
            seconds.append(perf_counter() - start)
    return Comparison(
        tuple(
            Cost(_name(plan), float(np.median(seconds)), _temporaries(function, args))
            for plan, function, seconds in zip(plans, functions, samples, strict=True)
        )
    )


def _name(plan: Any) -> str:
    return "default" if plan is None else str(getattr(plan, "__name__", plan))


def _temporaries(function: Any, args: Sequence[Any]) -> int:
    """The largest of its stages, which run one after the other."""
    lowered = function.lower(*args)
    stages = lowered if isinstance(lowered, tuple) else (lowered,)
    return max(int(stage.compile().memory_analysis().temp_size_in_bytes) for stage in stages)
