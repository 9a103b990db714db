"""Python code that a compiled program runs on the host (``jax.pure_callback``), and the exceptions that it raises.

What a callback raises reaches the caller of the program as an error of XLA that holds text only. Therefore
``call_on_host`` keeps the exception and raises one whose text has its number, by which ``original`` finds it again.
"""

from __future__ import annotations

import itertools
import re
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import jax

_numbers = itertools.count()
_raised: OrderedDict[int, Exception] = OrderedDict()
KEPT = 64
"""Exceptions that are kept until somebody asks for them."""


class HostError(Exception):
    """Stands in a callback for the exception of this number."""


def call_on_host(function: Callable[..., Any], results: Any, *arrays: Any, vmap_method: str = "sequential") -> Any:
    """Call a Python function of NumPy arrays within a JAX function; ``results`` are the types of what it returns."""

    def run(*given: Any) -> Any:
        try:
            return function(*given)
        except Exception as error:
            number = next(_numbers)
            _raised[number] = error
            if len(_raised) > KEPT:
                _raised.popitem(last=False)
            raise HostError(f"exception {number} of the host: {error}") from error

    return jax.pure_callback(run, results, *arrays, vmap_method=vmap_method)


def original(error: Exception) -> Exception | None:
    """Return the exception of a callback that made a program fail; ``None`` where there was none."""
    found = re.search(r"HostError: exception (\d+) of the host", str(error))
    return None if found is None else _raised.pop(int(found[1]), None)
