"""Doubling until a bound: the guide's example of ``until``."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import numpy as np


def until(aesara: Any, most: int) -> Any:
    """Powers of two up to a bound, in at most ``most`` steps."""
    at, scan_utils = aesara.tensor, import_module(f"{aesara.__name__}.scan.utils")
    max_value = at.dscalar("max_value")
    values, updates = aesara.scan(
        fn=lambda previous_power, max_value: (previous_power * 2, scan_utils.until(previous_power * 2 > max_value)),
        outputs_info=at.constant(np.float64(1.0)),
        non_sequences=max_value,
        n_steps=most,
    )
    return aesara.function([max_value], values, updates=updates)
