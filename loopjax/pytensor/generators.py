"""NumPy's generators as JAX keys, and back.

PyTensor's random variables read and return a ``numpy.random.Generator``. A program reads from it the data of a JAX
key, and the key that it returns seeds the next generator: the shared variable keeps holding a generator, that other
modes and ``get_value`` can read, and the same generator draws the same numbers.
"""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np

from loopjax.ir.types import TensorType

KEY_DATA = TensorType("uint32", (2,))
"""The type of a generator in a LoopJAX graph: the data of a key of JAX's default implementation."""


def key_data(generator: Any) -> np.ndarray[Any, Any]:
    """Return the key that belongs to the state of a generator."""
    if not isinstance(generator, np.random.Generator):
        return np.asarray(generator, "uint32")
    state = generator.bit_generator.state
    if state["bit_generator"] == "PCG64":
        words = state["state"]["state"].to_bytes(16, "little") + state["state"]["inc"].to_bytes(16, "little")
    else:
        words = repr(state).encode()
    return np.frombuffer(hashlib.blake2b(words, digest_size=8).digest(), "uint32")


def generator_of(data: Any) -> np.random.Generator:
    """Return the generator that a key seeds."""
    return np.random.Generator(np.random.PCG64([int(word) for word in np.asarray(data)]))
