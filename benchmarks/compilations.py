"""Number and duration of XLA's compilations."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from jax import monitoring

EVENT = "/jax/core/compile/backend_compile_duration"
"""The event that JAX reports once for each compilation."""


class Counter:
    """Count of compilations since the counter was made, and the seconds that they took."""

    def __init__(self) -> None:
        self.count = 0
        self.seconds = 0.0

    def __call__(self, event: str, duration_secs: float, **kwargs: str | int) -> None:
        if event == EVENT:
            self.count += 1
            self.seconds += duration_secs


@contextmanager
def counted() -> Iterator[Counter]:
    """Count the compilations in the context."""
    counter = Counter()
    monitoring.register_event_duration_secs_listener(counter)
    try:
        yield counter
    finally:
        monitoring.unregister_event_duration_listener(counter)
