"""XLA's compiler options for a program with loops on a CPU: copy insertion by regions, LLVM's optimization level.

**Copies.** Where a state is read after its next value was made, XLA copies it. By default it compares the places of
single instructions (``copy_insertion.cc``); with ``xla_cpu_copy_insertion_use_region_analysis`` it compares the regions
in which values are alive, and leaves out more copies. Time with it over that without, jaxlib 0.10.2, the first 40 loops
that the calibration generates from seed 910000: 0.94 in the mean, 0.71 to 1.07, the least for eight states that read
one another; of 665 loops of 1 to 8 values 0.96, 0.56 to 1.22. A copy at the start of a step may be cheaper than one at
its end.

Its own time grows with the cube of the arrays that a program's loops carry. Compile time with it over that without:

| arrays carried | 40 | 80 | 160 | 205 | 320 | 410 | 820 |
|---|---|---|---|---|---|---|---|
| gradients of 10 to 80 states, of 5 to 20 loops | 1.05 | 1.07 | 1.3 | 1.4 | 2.4 | 2.8 | 10 |

**Level.** LLVM writes out a loop over the elements of a small array before it vectorizes loops, and vectorizes little
of what it has written out, functions least. At XLA's level 3 it does so up to 300 instructions, at level 2 up to 150
(``UnrollThreshold``). Time at level 2 over that at level 3, one state, stacked and its gradient:

| | 8 | 16 | 24 | 32 | 64 values |
|---|---|---|---|---|---|
| ``tanh`` and a sum, float32 | 1.0, 1.0 | 1.0, 1.0 | 0.33, 0.45 | 0.32, 0.33 | 0.77, 0.85 |
| ``log`` and products, float32 | 1.0, 1.0 | 1.0, 1.0 | 0.22, 0.32 | 0.21, 0.25 | 0.78, 0.83 |
| ``exp`` and products, float64 | 1.0, 1.0 | 1.0, 0.96 | 0.41, 0.46 | 0.37, 0.45 | 1.0, 0.94 |
| ``sqrt`` and products, float64 | 0.99, 1.0 | 0.70, 0.64 | 0.52, 0.42 | 0.74, 0.99 | 1.0, 0.93 |

Level 2 is chosen where an array that a loop computes has a last axis, over which the innermost loop runs, of 8 to 100
elements: 134 workloads of that kind take 0.93 of the time in the mean, 115 generated loops 0.93 (0.37 to 1.04). Of 236
with other axes 1.01, up to 1.44: sums are unrolled less at level 2. So are the rounds of a random generator: 32
workloads that draw more than 50 numbers at once took 1.09 times as long, up to 1.34, but four of 10 to 50 numbers 0.81.

A kernel that asks of each element which row it is in is vectorized where LLVM moves the question out of the loop over
the row (``SimpleLoopUnswitch``), as it does at level 3 only. Additions to some rows are such kernels, unless their loop
is one function. Time at level 2 over that at level 3, 100 steps:

| | 101 x 81 | 200 x 50 | 300 x 24 | 400 x 40 | 64 x 64, one function |
|---|---|---|---|---|---|
| ``h[1:] += f(h[1:] - h[:-1])``, twice, float64 | 2.5 | 2.4 | 2.0 | 2.5 | 0.85 |
| float32 | | 3.6 | | 3.7 | 0.66 |
| ``h[2:, 1:] += f(h[:-2, :-1])``, float64 | 3.0 | 2.3 | 2.9 | 2.1 | 0.76 |
| float32 | | 3.0 | | 3.0 | 0.52 |
| four rolls, float64, float32 | 0.89, 0.71 | 0.84, 0.64 | 1.0, 0.73 | 0.92, 0.82 | 0.78, 0.76 |
"""

from __future__ import annotations

from loopjax.ir.autodiff import Differentiated
from loopjax.ir.graph import Apply, Graph, Variable
from loopjax.ir.index import WHOLE, IndexPattern, Slice
from loopjax.ir.scan import Scan
from loopjax.ir.types import KEY
from loopjax.lower.small_loops import LARGEST_BYTES

LEVEL = {"xla_backend_optimization_level": 2}
COPIES = {"xla_cpu_copy_insertion_use_region_analysis": True}

MOST_CARRIED = 96
"""Arrays that the loops of a program carry, in all, up to which the analysis takes few percent of the compile time."""

DERIVATIVE = 4
"""Arrays that a loop and its derivative carry for each of the loop's own."""

SHORT, MOST_DRAWN = range(8, 101), 50
"""Elements of a last axis for which level 2 is chosen, and numbers of a draw up to which it is."""

FEW_SCALARS = 2
"""Scalar states of a loop up to which copies cost nothing: with the analysis, 146 generated loops took 0.99 of the time
in the mean, and two workloads of cheap scalars 1.3 and 1.4."""


def compiler_options(graph: Graph) -> dict[str, int | bool]:
    """Return XLA's options for a program, none where it has no loop."""
    carried = _carried(graph)
    if carried == 0:
        return {}
    copies = COPIES if carried <= MOST_CARRIED and graph.holds(_copies) else {}
    level = LEVEL if graph.holds(_has_short_axes) and not graph.holds(_draws) and not graph.holds(_adds_to_rows) else {}
    return {**level, **copies}


def _has_short_axes(node: Apply) -> bool:
    """Test if an op is a loop that computes an array with a short last axis."""
    return isinstance(node.op, Scan) and node.op.body.holds(lambda inner: any(map(_is_short, inner.outputs)))


def _is_short(variable: Variable) -> bool:
    return variable.ndim > 0 and variable.type.sizes[-1] in SHORT


def _draws(node: Apply) -> bool:
    """Test if an op draws many numbers at once; of loops, only those whose steps run at once."""
    plan = node.op.plan if isinstance(node.op, Scan) else None
    at_once = not node.op.regions if plan is None else plan.kind in ("vmap", "batched")
    reads = at_once and any(variable.dtype == KEY for variable in node.inputs)
    return reads and any(variable.type.elements > MOST_DRAWN for variable in node.outputs)


def _adds_to_rows(node: Apply) -> bool:
    """Test if an op adds to some rows of an array that is too large for a function."""
    if not node.op.named("inc") or node.outputs[0].type.bytes <= LARGEST_BYTES:
        return False
    pattern: IndexPattern = node.op.arguments["pattern"]
    others = pattern.axis_entries[: node.outputs[0].ndim - 1]
    return not pattern.arrays and any(isinstance(one, Slice) and one != WHOLE for one in others)


def _copies(node: Apply) -> bool:
    """Test if an op is a loop whose copies cost time, or a gradient, which may hold one."""
    if isinstance(node.op, Scan):
        is_scalar = all(output.ndim == 0 for output in node.op.body.outputs)
        return not is_scalar or len(node.op.recurrences) > FEW_SCALARS
    return isinstance(node.op, Differentiated)


def _carried(graph: Graph) -> int:
    """Return the number of arrays that the loops of a program carry, about."""
    count = 0
    for node in graph.applies:
        own = len(node.op.body.outputs) + len(node.op.accumulators) if isinstance(node.op, Scan) else 0
        inner = own + sum(map(_carried, node.op.regions))
        count += inner * DERIVATIVE if isinstance(node.op, Differentiated) else inner
    return count
