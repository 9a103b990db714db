"""Tuning cache on disk: one file for each program, device and version, shared by all processes."""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax

from loopjax.config import VERSION, config
from loopjax.ir.digest import NoDigestError, digest
from loopjax.runtime.atomic_file import replacing


def place(*program: Any) -> Path | None:
    """The file for a program; ``None`` where there is no folder, or where no digest identifies the program."""
    machine = (platform.machine(), os.cpu_count())
    try:
        return _folder() / f"{digest(program, machine, VERSION, jax.__version__)}.json"
    except (NoDigestError, RuntimeError):  # the latter for no home
        return None


def read(place: Path | None) -> Any:
    """Reads a file; ``None`` where there is none, or no JSON in it."""
    try:
        return None if place is None else json.loads(place.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None


def write(place: Path | None, found: Mapping[str, Any]) -> bool:
    """Writes a file atomically; true where it could be written."""
    if place is None:
        return False
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with replacing(place) as file:
            file.write(json.dumps(found, indent=1).encode())
    except OSError:
        return False
    return True


def _folder() -> Path:
    """``config.cache``, or the system's folder for caches."""
    if config.cache:
        return Path(config.cache)
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "loopjax" / "Cache"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "loopjax"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "loopjax"
