"""What a scan's fn does besides returning: the random keys that it draws with while it is being recorded."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from loopjax.trace.shared import SharedVariable


class Body:
    """A loop body that is being recorded; ``keys`` are the streams drawn from in it, each carried by the loop."""

    def __init__(self) -> None:
        self.keys: dict[SharedVariable, None] = {}


_current: ContextVar[Body | None] = ContextVar("loopjax_body", default=None)


def current_body() -> Body | None:
    """The innermost body that is being recorded, if any."""
    return _current.get()


@contextmanager
def recording() -> Iterator[Body]:
    """While open, draws belong to the body that it gives."""
    body = Body()
    token = _current.set(body)
    try:
        yield body
    finally:
        _current.reset(token)
