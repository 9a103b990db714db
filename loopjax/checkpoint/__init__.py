"""Loops that store less for their gradient."""

from loopjax.checkpoint.budget import Budget
from loopjax.checkpoint.compare import Comparison, Cost, compare
from loopjax.checkpoint.every import Every
from loopjax.checkpoint.log import Log
from loopjax.checkpoint.sqrt import Sqrt

__all__ = ["Budget", "Comparison", "Cost", "Every", "Log", "Sqrt", "compare"]
