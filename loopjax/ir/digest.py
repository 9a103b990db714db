"""Digests of graphs that are equal in every process, for keys of caches on disk."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any

from loopjax.ir.graph import Graph


class NoDigestError(TypeError):
    """A graph holds something that cannot be compared across processes, such as a function."""


def digest(*values: Any) -> str:
    """Return a hexadecimal SHA-256 of values, equal for graphs that are equal (up to names and source lines).

    Raises ``NoDigestError`` for a value that has none.
    """
    found = hashlib.sha256()
    for chunk in _encoded(values):
        found.update(chunk)
        found.update(b"\0")
    return found.hexdigest()


def _encoded(value: Any) -> Iterator[bytes]:
    """Yield a canonical encoding of a value, with its type: 1, 1.0 and True differ."""
    kind = type(value).__name__
    if value is None or isinstance(value, (bool, int, float, complex, str)):
        yield f"{kind} {value!r}".encode()
    elif isinstance(value, bytes):
        yield b"bytes %d" % len(value)
        yield value
    elif isinstance(value, (tuple, list)):
        yield f"{kind} {len(value)}".encode()
        for item in value:
            yield from _encoded(item)
    elif isinstance(value, (set, frozenset)):
        yield from _encoded((kind, sorted(map(digest, value))))
    elif isinstance(value, Graph):
        yield from _encoded((kind, value.key))
    elif is_dataclass(value) and not isinstance(value, type):
        compared = [(field.name, getattr(value, field.name)) for field in fields(value) if field.compare]
        yield from _encoded((kind, compared))
    else:
        raise NoDigestError(f"{value!r:.80} of type {kind}")
