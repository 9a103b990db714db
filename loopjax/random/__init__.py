"""Random variables: ``RandomStream`` and its distributions."""

from loopjax.random.stream import RandomStream

__all__ = ["RandomStream"]
