"""A progress bar while a loop runs, from tqdm."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import jax
from jax import lax

from loopjax.lower.loops.chunks import Stacks, in_chunks
from loopjax.lower.loops.step import Carry, Loop, Slices


class Bar:
    """The bar of one compiled loop. The report of its ``first`` steps starts a new one; late reports count for
    nothing."""

    def __init__(self, label: str, first: int, total: int | None) -> None:
        self._label = label
        self._first = first
        self._total = total
        self._bar: Any = None
        self._lock = threading.Lock()

    def __call__(self, done: Any, witness: Any = None) -> None:
        """So many steps are done. ``witness`` is a value of theirs: needing it, the report cannot come before them."""
        from tqdm.auto import tqdm

        steps = int(done)
        with self._lock:
            if steps == self._first:
                self._bar = tqdm(total=self._total, desc=self._label)
            if self._bar is None or steps <= self._bar.n:
                return
            self._bar.update(steps - self._bar.n)
            if steps == self._total:
                self._bar.close()
                self._bar = None


def run(loop: Loop, step: Callable[..., Any], carry: Carry, slices: Slices, n_steps: int) -> tuple[Carry, Stacks]:
    """``step`` by step in chunks of ``plan.report``, with a word to the host after each: the steps pay nothing."""
    bar = Bar(loop.op.progress, min(loop.plan.report, n_steps), n_steps)

    def chunk(before: Carry, part: Slices) -> tuple[Carry, Stacks]:
        after, stacks = lax.scan(step, before, part, unroll=loop.plan.unroll)
        jax.debug.callback(bar, part.t[-1] + 1, witness((after, stacks)))
        return after, stacks

    return in_chunks(chunk, carry, slices, n_steps, loop.plan.report)


def witness(values: Any) -> Any:
    """One element of the first array that has any."""
    return next((leaf.ravel()[0] for leaf in jax.tree.leaves(values) if leaf.size), None)


def report(bar: Bar, every: int, done: Any) -> None:
    """A word to the host where ``done`` is a multiple of ``every``."""
    lax.cond(done % every == 0, lambda: jax.debug.callback(bar, done), lambda: None)
