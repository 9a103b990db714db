"""Modes, linkers and optimizers of the peers, all accepted: XLA compiles every program.

``FAST_COMPILE`` leaves out LoopJAX's optional rewrites, ``tune`` measures alternatives; every other name is
``FAST_RUN``. A name with no such effect is noted once.
"""

from __future__ import annotations

import difflib
from typing import Any

from loopjax.compat.notes import note
from loopjax.errors import coded
from loopjax.rewrite.target import REWRITES
from loopjax.runtime import mode as core

_NAMES = """
Mode FAST_RUN FAST_COMPILE STABILIZE DebugMode DEBUG_MODE NanGuardMode MonitorMode ProfileMode PROFILE_MODE JAX
NUMBA C CVM VM PYTORCH MLX unoptimized tune
"""
NAMES = tuple(_NAMES.split())
"""Every name of a mode of a peer."""

XLA = "accepted; XLA compiles all programs, and only FAST_COMPILE and tune change what it is given"


class Mode:
    """A mode of a peer library, with any linker and any optimizer.

    Parameters
    ----------
    linker, optimizer, db
        Accepted for old programs.
    """

    def __init__(self, linker: Any = None, optimizer: Any = "default", db: Any = None, **options: Any) -> None:
        self.linker = linker if linker is not None else "jax"
        self.optimizer = optimizer
        self.core = core.read_mode("FAST_COMPILE" if optimizer in ("None", "fast_compile") else "FAST_RUN")
        if linker is not None or optimizer not in ("default", None):
            note(f"Mode(linker={linker!r}, optimizer={optimizer!r})", XLA)

    def excluding(self, *names: str) -> Mode:
        """The mode without the rewrites among these that LoopJAX has."""
        return self._with(self.core.excluding(*_rewrites(names)))

    def including(self, *names: str) -> Mode:
        """The mode with the rewrites among these that LoopJAX has."""
        return self._with(self.core.including(*_rewrites(names)))

    requiring = including

    def register(self, *optimizations: Any) -> Mode:
        """The mode itself: rewrites of a peer's graphs have no meaning here."""
        note("Mode.register", "accepted without effect; LoopJAX's rewrites are its own")
        return self

    def clone(self, **options: Any) -> Mode:
        """A copy."""
        return self._with(self.core)

    def _with(self, chosen: core.Mode) -> Mode:
        made = type(self).__new__(type(self))
        made.linker, made.optimizer, made.core = self.linker, self.optimizer, chosen
        return made


class _Watching(Mode):
    """A mode that watches values in a peer library; here it compiles as FAST_RUN."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__()
        name = type(self).__name__
        note(name, f"accepted; {core.INSTEAD.get(name, 'jax.profiler profiles compiled programs')}")


class DebugMode(_Watching):
    """Theano's ``DebugMode``."""


class NanGuardMode(_Watching):
    """Theano's ``NanGuardMode``."""


class MonitorMode(_Watching):
    """Theano's ``MonitorMode``."""


class ProfileMode(_Watching):
    """Theano's ``ProfileMode``."""


def get_mode(mode: Any = None) -> Mode:
    """Return the mode of a name, or the default."""
    if isinstance(mode, Mode):
        return mode
    made = Mode()
    made.core = core_mode(mode)
    return made


def core_mode(mode: Any) -> core.Mode:
    """Return the core's mode for a mode or name of a peer."""
    if isinstance(mode, Mode):
        return mode.core
    if mode is None or isinstance(mode, core.Mode):
        return core.read_mode(mode)
    if not isinstance(mode, str) or mode not in NAMES:
        nearest = difflib.get_close_matches(str(mode), NAMES, 1)
        meant = f"; did you mean {nearest[0]!r}?" if nearest else ""
        raise coded(ValueError, "LJ308")(f"mode is one of {', '.join(NAMES)} or a Mode, not {mode!r:.80}{meant}")
    if mode not in ("Mode", "FAST_RUN", "FAST_COMPILE", "JAX", "tune"):
        old = {name.casefold(): name for name in core.INSTEAD}.get(mode.replace("_", "").casefold(), "")
        note(f"mode={mode!r}", core.INSTEAD.get(old, XLA))
        return core.read_mode("FAST_RUN")
    return core.read_mode("FAST_RUN" if mode == "Mode" else mode)


def _rewrites(names: tuple[str, ...]) -> list[str]:
    """Return the names of rewrites that LoopJAX has too."""
    known = [name for name in names if name in REWRITES or name in core.RENAMED]
    if len(known) < len(names):
        note("Mode.excluding and including", f"{sorted(set(names) - set(known))} are not rewrites here: XLA makes them")
    return known
