"""The loop body that is being recorded, which collects the random keys that ``fn`` draws with.

A draw inside of ``fn`` advances its stream once a step, so the loop must carry the stream's key. ``fn`` does not return
it; the stream tells the innermost body.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from loopjax.ir.graph import ORDER
from loopjax.trace.shared import SharedVariable


class Body:
    """A loop body that is being recorded; ``keys`` are those of the streams that it draws from, ``first`` the order of
    its first node."""

    def __init__(self) -> None:
        self.keys: dict[SharedVariable, None] = {}
        self.first = next(ORDER)


_current: ContextVar[Body | None] = ContextVar("loopjax_body", default=None)


def current_body() -> Body | None:
    """Return the innermost body that is being recorded, if any."""
    return _current.get()


@contextmanager
def recording() -> Iterator[Body]:
    """Open a body; draws belong to it until the context ends."""
    body = Body()
    token = _current.set(body)
    try:
        yield body
    finally:
        _current.reset(token)
