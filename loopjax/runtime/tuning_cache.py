"""What tuning has found, on disk: a file for each program, device and version, which any process may read."""

from __future__ import annotations

import json
import os
import platform
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax

from loopjax.config import config
from loopjax.ir.digest import NoDigestError, digest


def place(*program: Any) -> Path | None:
    """Where what is found about a program is written; ``None`` where there is no place, or where only this process can
    tell what the program is."""
    from loopjax import __version__

    machine = (platform.machine(), os.cpu_count())
    try:
        return _folder() / f"{digest(program, machine, __version__, jax.__version__)}.json"
    except (NoDigestError, RuntimeError):  # the latter for no home
        return None


def read(place: Path | None) -> Any:
    """What was written there; ``None`` for nothing and for what is no JSON."""
    try:
        return None if place is None else json.loads(place.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None


def write(place: Path | None, found: Mapping[str, Any]) -> bool:
    """Writes all of it or nothing, whoever else reads or writes there; whether it could be."""
    if place is None:
        return False
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=place.parent, suffix=".tmp", delete=False) as file:
            json.dump(found, file, indent=1)
        os.replace(file.name, place)
    except OSError:
        return False
    return True


def _folder() -> Path:
    """``config.cache``, or the folder that the system has for what can be made again."""
    if config.cache:
        return Path(config.cache)
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "loopjax" / "Cache"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "loopjax"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "loopjax"
