"""Programs that may fail on a CPU after they were dispatched."""

from __future__ import annotations

from typing import Any

import jax
from jax.extend.core import ClosedJaxpr

from loopjax.lower.jaxprs import inner_equations
from loopjax.lower.primitives import CALLS, LOOPS, WRITES
from loopjax.lower.small_loops import PRIMITIVES

LITTLE = 2**20
"""Bytes of all arrays of a program up to which their allocation, which may come later, does not fail."""

_SAFE = PRIMITIVES | LOOPS | CALLS | WRITES | {"dot_general"}


def may_fail_later(program: ClosedJaxpr, compiled: Any) -> bool:
    """Test if a program that reads safe values, which do not fail, may fail once it is dispatched.

    Callbacks and libraries may fail while it runs, an allocation where it runs later, and devices other than CPUs for
    reasons of their own. Kernels that XLA makes on a CPU do not.
    """
    equations = [inner for outer in program.eqns for inner in (outer, *inner_equations(outer))]
    if program.effects or any(equation.primitive.name not in _SAFE for equation in equations):
        return True
    devices = {device for one in jax.tree.leaves(compiled.output_shardings) for device in one.device_set}
    memory = compiled.memory_analysis()
    if memory is None or {device.platform for device in devices} != {"cpu"}:
        return True
    sizes = memory.argument_size_in_bytes, memory.output_size_in_bytes, memory.temp_size_in_bytes
    return bool(sum(sizes) > LITTLE)
