"""Programs of the applications, one file per kind: samplers, filters, dynamic programming, networks, simulation and
time series."""

from __future__ import annotations

from importlib import import_module
from typing import Any


def stream(aesara: Any) -> Any:
    """Random stream of the library."""
    return import_module(f"{aesara.__name__}.tensor.random.utils").RandomStream(1234)


def until(aesara: Any, condition: Any) -> Any:
    """Condition that ends a scan."""
    return import_module(f"{aesara.__name__}.scan.utils").until(condition)
