"""``compare``: measures time and memory of a user's own loop under several schedules."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Any, NamedTuple

import jax
import numpy as np

PLANS: tuple[Any, ...] = (None, 1, "sqrt", "log")
"""Schedules that ``compare`` measures by default."""


class Cost(NamedTuple):
    """The measured cost of a loop under one schedule.

    Parameters
    ----------
    plan : str
        The schedule.
    seconds : float
        The median time of a call.
    bytes : int
        Temporary memory that XLA allocates.

    Examples
    --------
    >>> from loopjax.checkpoint import Cost
    >>> Cost("sqrt", 0.5, 1024).bytes
    1024
    """

    plan: str
    seconds: float
    bytes: int


class Comparison(NamedTuple):
    """The result of ``compare``, which prints as a table.

    Parameters
    ----------
    costs : tuple of Cost
        The cost under each schedule.

    Examples
    --------
    >>> from loopjax.checkpoint import Comparison, Cost
    >>> Comparison((Cost("default", 0.5, 3_000_000), Cost("sqrt", 0.75, 1_000_000)))
    checkpoint          ms          MB
    default        500.000       3.000
    sqrt           750.000       1.000
    """

    costs: tuple[Cost, ...]

    def __str__(self) -> str:
        width = max(10, max(len(cost.plan) for cost in self.costs))
        lines = [f"{'checkpoint':<{width}}  {'ms':>10}  {'MB':>10}"]
        lines += [
            f"{cost.plan:<{width}}  {1e3 * cost.seconds:>10.3f}  {cost.bytes / 1e6:>10.3f}" for cost in self.costs
        ]
        return "\n".join(lines)

    def __repr__(self) -> str:
        return str(self)

    def plot(self, path: Any = None) -> Any:
        """Plot time against memory, both logarithmic; return the figure of matplotlib, saved where there is a ``path``.

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
    """Measure time and memory of a function under several schedules, so that one can be chosen.

    The functions run in turn, after a first call of each that compiles. Shared variables that they update change with
    every call.

    Parameters
    ----------
    build : callable
        ``build(checkpoint)`` writes the loop with ``scan(..., checkpoint=checkpoint)`` and returns the ``function``.
    *args : array_like
        The arguments of the function.
    plans : sequence
        Schedules as ``scan`` takes them: ``None`` for its own choice, an int, a word, ``Every``, ``Budget``, a policy.
    repeats : int, default 7
        Timed calls of each function.

    Returns
    -------
    Comparison
        The cost under each schedule; it prints as a table.

    Raises
    ------
    ValueError
        There are no plans or no repeats.

    Examples
    --------
    >>> import loopjax
    >>> import loopjax.tensor as at
    >>> from loopjax.checkpoint import compare
    >>> h0 = at.dvector("h0")
    >>> def build(checkpoint):
    ...     h, _ = loopjax.scan(lambda h: at.tanh(2 * h), outputs_info=h0, n_steps=50, checkpoint=checkpoint)
    ...     return loopjax.function([h0], loopjax.grad(h[-1].sum(), h0))
    >>> found = compare(build, [1.0, 2.0], plans=[None, "sqrt"], repeats=1)
    >>> [cost.plan for cost in found.costs]
    ['default', 'sqrt']
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
    """Return the temporary memory of a function: the most of its stages, which run one after the other."""
    lowered = function.lower(*args)
    stages = lowered if isinstance(lowered, tuple) else (lowered,)
    return max(int(stage.compile().memory_analysis().temp_size_in_bytes) for stage in stages)
