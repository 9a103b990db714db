"""Random variables: ``RandomStream`` and its distributions.

A seed, a distribution's parameters and a size go in; a variable that draws comes out. Each draw records a node
``draw_<name>`` that reads a key, a shared variable of the stream: keys are explicit state of functions and loops.
"""

from loopjax.random.stream import RandomStream

__all__ = ["RandomStream"]
