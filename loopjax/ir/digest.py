"""A graph as a digest that is the same in every process: for what is remembered on disk."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any

from loopjax.ir.graph import Graph


class NoDigestError(TypeError):
    """A graph holds something, such as a function, of which no process can tell whether it is that of another."""


def digest(*values: Any) -> str:
    """What tells graphs and other values apart: equal ones, up to names and source lines, have equal digests.

    Raises ``NoDigestError`` for a value that has none.
    """
    found = hashlib.sha256()
    for part in _parts(values):
        found.update(part)
        found.update(b"\0")
    return found.hexdigest()


def _parts(value: Any) -> Iterator[bytes]:
    """The value's parts, types among them: 1, 1.0 and True are three."""
    kind = type(value).__name__
    if value is None or isinstance(value, (bool, int, float, complex, str)):
        yield f"{kind} {value!r}".encode()
    elif isinstance(value, bytes):
        yield b"bytes %d" % len(value)
        yield value
    elif isinstance(value, (tuple, list)):
        yield f"{kind} {len(value)}".encode()
        for item in value:
            yield from _parts(item)
    elif isinstance(value, (set, frozenset)):
        yield from _parts((kind, sorted(map(digest, value))))
    elif isinstance(value, Graph):
        yield from _parts((kind, value.key))
    elif is_dataclass(value) and not isinstance(value, type):
        compared = [(one.name, getattr(value, one.name)) for one in fields(value) if one.compare]
        yield from _parts((kind, compared))
    else:
        raise NoDigestError(f"{value!r:.80} of type {kind}")
