"""Modes: which optional rewrites a program gets."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from dataclasses import InitVar, dataclass, replace
from typing import Any, NoReturn

from loopjax.config import config
from loopjax.errors import UnsupportedError, check_flag, coded, here, nearest
from loopjax.rewrite.target import NUMERICAL, REWRITES

NAMED = ("FAST_RUN", "FAST_COMPILE", "JAX", "tune")
"""Names of modes."""

RENAMED = {
    "merge": ("cse",),
    "terms": ("producer_fusion",),
    "fold": ("reduction_fusion",),
    "top_k": ("selection",),
    "fewer": (),
    "dead_iterations": (),
    "pack_joins": (),
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
    "pair": (),
    "complex_states": (),
    "tile": ("tiling",),
    "search": ("searchsorted",),
    "defer": ("weight_gradients",),
    "linear": ("linear_recurrence",),
    "recompute": ("remat",),
    "blocks": ("far_taps",),
}
"""Deprecated names of rewrites, each with the present ones: none for one that was removed or is always made."""

INSTEAD = {
    "DebugMode": "set loopjax.config.verify = True, which checks every graph after every rewrite, and compare the "
    "results with those of mode='FAST_COMPILE'",
    "NanGuardMode": "pass check='nan' to function, which raises FloatingPointError where NaN appears",
    "MonitorMode": "look at values with loopjax.wrap_jax of a function that calls jax.debug.print",
}
"""Replacements for the modes of old programs that do not exist here."""


@dataclass(frozen=True)
class Mode:
    """The rewrites of a function: the ``mode`` of ``function`` and ``to_jax``.

    Parameters
    ----------
    without
        Names of rewrites that are left out; ``docs/rewrites.md`` lists them.
    reassociate
        Allows sums and products over steps in another order, which changes their rounding and lets linear recurrences
        run in parallel.
    tune
        Measures the alternatives of each choice on the first call's arguments.
    loop_kernels
        Makes one kernel of each elementwise loop on a GPU. Not yet measured on a card; ``docs/gpu.md`` says more.
    linker, optimizer
        Refused; arguments of old programs.

    Returns
    -------
    Mode
        An immutable value; ``excluding`` and ``including`` derive others.

    Raises
    ------
    TypeError
        ``linker`` or ``optimizer`` is given.
    ValueError
        There is no rewrite of such a name. A deprecated name gives a ``DeprecationWarning``.

    Examples
    --------
    >>> import loopjax
    >>> mode = loopjax.Mode().excluding("licm", "unroll")
    >>> sorted(mode.without)
    ['licm', 'unroll']
    >>> sorted(mode.including("licm").without)
    ['unroll']
    """

    without: frozenset[str] = frozenset()
    reassociate: bool = False
    tune: bool = False
    loop_kernels: bool = False
    linker: InitVar[Any] = None
    optimizer: InitVar[Any] = None

    def __post_init__(self, linker: Any, optimizer: Any) -> None:
        if isinstance(self.without, str) or linker is not None or optimizer is not None:
            raise coded(TypeError, "LJ308")(
                f"a Mode has no linker and no optimizer, got {[self.without, linker, optimizer]!r:.80}; expected "
                "names of rewrites. Leave the mode out, or leave "
                f"rewrites out with loopjax.Mode().excluding(...) or mode='FAST_COMPILE'{here()}"
            )
        for flag in ("reassociate", "tune", "loop_kernels"):
            check_flag(f"Mode: {flag}", getattr(self, flag))
        listed = isinstance(self.without, (frozenset, set, list, tuple))
        if not listed or not all(isinstance(name, str) for name in self.without):
            raise coded(TypeError, "LJ308")(
                f"Mode: without is a set of names of rewrites, got {self.without!r:.80}; write "
                f"Mode().excluding('licm'){here()}"
            )
        object.__setattr__(self, "without", frozenset(_present_names(self.without, stacklevel=4)))

    def excluding(self, *names: str) -> Mode:
        """A mode that leaves out these rewrites as well."""
        return replace(self, without=self.without.union(_present_names(names)))

    def including(self, *names: str) -> Mode:
        """A mode that makes these rewrites again."""
        return replace(self, without=self.without.difference(_present_names(names)))


def _present_names(names: Iterable[str], stacklevel: int = 3) -> Iterator[str]:
    """The present names of rewrites; deprecated ones are replaced, with a ``DeprecationWarning``."""
    names = tuple(names)
    unknown = sorted(set(names) - set(REWRITES) - set(RENAMED))
    if unknown:
        raise coded(ValueError, "LJ308")(
            f"there is no rewrite {', '.join(map(repr, unknown))}; they are {', '.join(REWRITES)}. What Aesara's "
            f"rewrites did to single operations, such as fusing them or working in place, XLA does"
            f"{nearest(unknown[0], REWRITES)}{here()}"
        )
    for name in names:
        present = RENAMED.get(name)
        if present is None:
            yield name
            continue
        instead = f"is now {' and '.join(map(repr, present))}" if present else "is no choice any more"
        warnings.warn(f"the rewrite {name!r} {instead}", DeprecationWarning, stacklevel=stacklevel)
        yield from present


def unavailable(name: str) -> NoReturn:
    """Raises for a mode of old programs, with its replacement."""
    raise coded(UnsupportedError, "LJ308")(f"there is no {name} here: {INSTEAD[name]}{here()}")


def read_mode(mode: Any) -> Mode:
    """Reads a mode: ``None`` is ``config.mode``, and ``"FAST_COMPILE"`` leaves out all optional rewrites but those
    that change results.

    Raises ``ValueError`` for a name that is not known, ``UnsupportedError`` for one that was known to old programs, and
    ``TypeError`` for anything else.
    """
    if mode is None:
        mode = config.mode
    if isinstance(mode, Mode):
        return mode
    if not isinstance(mode, str):
        raise coded(TypeError, "LJ308")(f"mode is a Mode, a name or None, not {mode!r:.80}; write 'FAST_RUN'{here()}")
    old = {name.casefold(): name for name in INSTEAD}.get(mode.replace("_", "").casefold())
    if old is not None:
        unavailable(old)
    if mode not in NAMED:
        raise coded(ValueError, "LJ308")(
            f"mode is one of {NAMED} or a Mode, not {mode!r}{nearest(mode, NAMED)}{here()}"
        )
    return Mode(frozenset(REWRITES) - NUMERICAL if mode == "FAST_COMPILE" else frozenset(), tune=mode == "tune")
