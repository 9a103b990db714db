"""Atomic replacement of a file: whenever the process is killed, the old or the new file is there, and whole."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Opens a new file that takes the place of ``path`` when all has been written, and leaves no trace otherwise.

    It is written in a folder of its own beside ``path``, which stays if the process is killed. The permissions are
    those of the umask, as of any new file.
    """
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.", ignore_cleanup_errors=True) as folder:
        made = Path(folder) / path.name
        with made.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(made, path)
