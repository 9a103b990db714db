"""PyTensor and Aesara, each in an environment of its own."""

from __future__ import annotations

from importlib.util import find_spec

from benchmarks.record import Outcome

OTHERS = ("pytensor", "aesara")


def others() -> dict[str, Outcome]:
    """Their outcomes for a workload: programs for them belong beside its own contenders, and there are none yet."""
    return {
        name: Outcome("skipped", "not installed" if find_spec(name) is None else "no program is written for it")
        for name in OTHERS
    }
