"""What is done to a program besides what it needs to run."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from loopjax.config import config
from loopjax.rewrite.target import REWRITES

NAMED = ("FAST_RUN", "FAST_COMPILE", "JAX", "tune")
"""The modes that have names."""


@dataclass(frozen=True)
class Mode:
    """How a function is rewritten: the ``mode`` of ``function`` and ``to_jax``.

    ``without``: the rewrites that are left out, by their names in ``loopjax.rewrite.target.REWRITES``.
    ``reassociate``: loops may take sums and products over their steps in another order, which changes their rounding
    and lets linear recurrences run in parallel. ``tune``: the alternatives of each choice are compiled and measured on
    the first call's arguments.
    """

    without: frozenset[str] = frozenset()
    reassociate: bool = False
    tune: bool = False

    def __post_init__(self) -> None:
        unknown = sorted(set(self.without) - set(REWRITES))
        if unknown:
            raise ValueError(f"there is no rewrite {', '.join(map(repr, unknown))}; they are {', '.join(REWRITES)}")
        object.__setattr__(self, "without", frozenset(self.without))

    def excluding(self, *names: str) -> Mode:
        """The mode without these rewrites too."""
        return replace(self, without=self.without.union(names))

    def including(self, *names: str) -> Mode:
        """The mode with these rewrites again."""
        return replace(self, without=self.without.difference(names))


def read_mode(mode: Any) -> Mode:
    """The mode that is meant: ``None`` is ``config.mode``; ``"FAST_COMPILE"`` leaves out what may be left out.

    Raises ``ValueError`` for a name that is not known and ``TypeError`` for anything else.
    """
    if mode is None:
        mode = config.mode
    if isinstance(mode, Mode):
        return mode
    if not isinstance(mode, str):
        raise TypeError(f"mode is a Mode, a name or None, not {mode!r:.80}")
    if mode not in NAMED:
        raise ValueError(f"mode is one of {NAMED} or a Mode, not {mode!r}")
    return Mode(frozenset(REWRITES) if mode == "FAST_COMPILE" else frozenset(), tune=mode == "tune")
