"""Running sum of 0, 1, 2, ..."""

from __future__ import annotations

from typing import Any

import numpy as np


def triangular(aesara: Any, last: bool = False) -> Any:
    """All sums up to ``up_to`` terms, or the last one."""
    at = aesara.tensor
    up_to = at.iscalar("up_to")
    seq = at.arange(up_to)
    sums, updates = aesara.scan(
        fn=lambda arange_val, sum_to_date: sum_to_date + arange_val,
        sequences=seq,
        outputs_info=at.as_tensor_variable(np.asarray(0, seq.dtype)),
    )
    return aesara.function([up_to], sums[-1] if last else sums, updates=updates)
