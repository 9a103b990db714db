"""From a sized graph to a jitted function."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax

from loopjax.lower import branch, checkpoint, deferred, grad, indexing, jax_call, scan  # noqa: F401 - they register the lowering rules
from loopjax.lower.check import checked
from loopjax.lower.interpreter import evaluate
from loopjax.trace.graph import Graph


class Compiled:
    """A sized graph and its jitted function, which may overwrite the inputs at ``donated``; ``tuning`` says how it was
    chosen, where it was measured."""

    def __init__(self, graph: Graph, name: str, donate: Sequence[int], check_index: bool) -> None:
        self.graph = graph
        self.donated = frozenset(() if check_index else donate)
        self.tuning: tuple[str, ...] = ()

        def run(*arrays: Any) -> list[Any]:
            return evaluate(graph, arrays)

        run.__name__ = run.__qualname__ = name
        self.call: Any = checked(run) if check_index else jax.jit(run, donate_argnums=tuple(self.donated))
