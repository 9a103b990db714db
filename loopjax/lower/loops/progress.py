"""A progress bar while a loop runs, from tqdm."""

from __future__ import annotations

import threading
from typing import Any

import jax


class Bar:
    """The bar of one compiled loop, called on the host with the number of steps that are done.

    The report of the ``first`` steps starts a new bar. Reports may arrive late or out of order: one of fewer steps than
    the bar shows is ignored.
    """

    def __init__(self, label: str, first: int, total: int | None) -> None:
        self._label = label
        self._first = first
        self._total = total
        self._bar: Any = None
        self._lock = threading.Lock()

    def __call__(self, done: Any, value: Any = None) -> None:
        """Show that ``done`` steps are done; ``value`` is one that they computed, so that this cannot run earlier."""
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


def first_element(values: Any) -> Any:
    """One element of the first array in a tree that has any."""
    return next((leaf.ravel()[0] for leaf in jax.tree.leaves(values) if leaf.size), None)
