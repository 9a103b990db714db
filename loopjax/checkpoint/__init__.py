"""Checkpointing schedules: loops that store less for their gradient and recompute the rest.

Enters: a number of steps and the size of a state. Leaves: nests of loops (``ir/schedule.py``) that the plan of a loop
uses. ``scan_checkpoints`` and ``compare`` are for users.
"""

from loopjax.checkpoint.budget import Budget
from loopjax.checkpoint.compare import Comparison, Cost, compare
from loopjax.checkpoint.every import Every
from loopjax.checkpoint.sublinear import Log, Sqrt

__all__ = ["Budget", "Comparison", "Cost", "Every", "Log", "Sqrt", "compare"]
