"""What is done to a program besides what it needs to run."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from dataclasses import InitVar, dataclass, replace
from typing import Any, NoReturn

from loopjax.config import config
from loopjax.errors import UnsupportedError
from loopjax.rewrite.target import REWRITES

NAMED = ("FAST_RUN", "FAST_COMPILE", "JAX", "tune")
"""The modes that have names."""

RENAMED = {
    "merge": ("cse",),
    "terms": ("producer_fusion",),
    "fold": ("reduction_fusion",),
    "fewer": ("dead_iterations",),
    "keep": ("saved_steps",),
    "windows": ("saved_windows",),
    "inside": ("slice_sinking",),
    "ranges": ("induction_variables",),
    "constants": (),
    "constant_folding": (),
    "prune": ("scan_cse", "licm", "dce"),
    "fuse": ("loop_fusion",),
    "pack": ("vectorize_states",),
    "logspace": ("logsumexp",),
    "join": ("fuse_products",),
    "hoist": ("loop_prologue", "block_sampling"),
    "sink": ("loop_epilogue",),
    "spell": ("expand_products",),
    "pair": ("complex_states",),
    "tile": ("tiling",),
    "search": ("searchsorted",),
    "defer": ("weight_gradients",),
    "linear": ("linear_recurrence",),
    "recompute": ("remat",),
    "blocks": ("far_taps",),
}
"""Deprecated names of rewrites, each with the present ones: none for a rewrite that was removed."""

INSTEAD = {
    "DebugMode": "set loopjax.config.verify = True, which checks every graph after every rewrite, and compare the "
    "results with those of mode='FAST_COMPILE'",
    "NanGuardMode": "call jax.config.update('jax_debug_nans', True), which raises FloatingPointError where NaN appears",
    "MonitorMode": "look at values with loopjax.wrap_jax of a function that calls jax.debug.print",
}
"""What to do instead of the modes of old programs that are not here."""


@dataclass(frozen=True)
class Mode:
    """How a function is rewritten: the ``mode`` of ``function`` and ``to_jax``.

    ``without``: the rewrites that are left out, by their names in ``loopjax.rewrite.target.REWRITES``.
    ``reassociate``: loops may take sums and products over their steps in another order, which changes their rounding
    and lets linear recurrences run in parallel. ``tune``: the alternatives of each choice are compiled and measured on
    the first call's arguments. Raises ``TypeError`` for the ``linker`` and the ``optimizer`` of old programs.
    """

    without: frozenset[str] = frozenset()
    reassociate: bool = False
    tune: bool = False
    linker: InitVar[Any] = None
    optimizer: InitVar[Any] = None

    def __post_init__(self, linker: Any, optimizer: Any) -> None:
        if isinstance(self.without, str) or linker is not None or optimizer is not None:
            raise TypeError(
                "a Mode has no linker and no optimizer: XLA compiles all programs. Leave the mode out, or leave "
                "rewrites out with loopjax.Mode().excluding(...) or mode='FAST_COMPILE'"
            )
        object.__setattr__(self, "without", frozenset(_present_names(self.without)))

    def excluding(self, *names: str) -> Mode:
        """The mode without these rewrites too."""
        return replace(self, without=self.without.union(_present_names(names)))

    def including(self, *names: str) -> Mode:
        """The mode with these rewrites again."""
        return replace(self, without=self.without.difference(_present_names(names)))


def _present_names(names: Iterable[str]) -> Iterator[str]:
    """The present names of rewrites; deprecated ones are replaced, with a ``DeprecationWarning``."""
    names = tuple(names)
    unknown = sorted(set(names) - set(REWRITES) - set(RENAMED))
    if unknown:
        raise ValueError(
            f"there is no rewrite {', '.join(map(repr, unknown))}; they are {', '.join(REWRITES)}. What Aesara's "
            f"rewrites did to single operations, such as fusing them or working in place, XLA does"
        )
    for name in names:
        present = RENAMED.get(name)
        if present is None:
            yield name
            continue
        instead = f"is now {' and '.join(map(repr, present))}" if present else "is gone: XLA folds constants"
        warnings.warn(f"the rewrite {name!r} {instead}", DeprecationWarning, stacklevel=4)
        yield from present


def unavailable(name: str) -> NoReturn:
    """Raises for a mode that old programs name, and says what to do instead."""
    raise UnsupportedError(f"there is no {name} here: {INSTEAD[name]}")


def read_mode(mode: Any) -> Mode:
    """The mode that is meant: ``None`` is ``config.mode``; ``"FAST_COMPILE"`` leaves out what may be left out.

    Raises ``ValueError`` for a name that is not known, ``UnsupportedError`` for one that was known to old programs, and
    ``TypeError`` for anything else.
    """
    if mode is None:
        mode = config.mode
    if isinstance(mode, Mode):
        return mode
    if not isinstance(mode, str):
        raise TypeError(f"mode is a Mode, a name or None, not {mode!r:.80}")
    old = {name.casefold(): name for name in INSTEAD}.get(mode.replace("_", "").casefold())
    if old is not None:
        unavailable(old)
    if mode not in NAMED:
        raise ValueError(f"mode is one of {NAMED} or a Mode, not {mode!r}")
    return Mode(frozenset(REWRITES) if mode == "FAST_COMPILE" else frozenset(), tune=mode == "tune")
