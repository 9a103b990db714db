"""Loop outlining on a CPU: a loop of small arrays becomes one function of XLA, where each op would be a kernel.

XLA on CPU compiles a loop whose iteration touches few bytes into one function (``small_while_loop_hoisting_pass.cc``:
1,024 bytes up to jaxlib 0.10, more in later ones), and calls a kernel for each fusion of any other, for 20 to 100 ns.
It finds such functions by an attribute of their call, which ``set_xla_metadata`` gives to the call of a nested
``jax.jit``. Only that is done here; a backend that does not know the attribute ignores it.

Time of a loop outlined over that of the same loop left to XLA, jaxlib 0.10.2, two cores, float64:

| body | 4 | 16 | 64 | 256 | 1,024 elements |
|---|---|---|---|---|---|
| three states, elementwise | 1.0 | 0.29 | 0.31 | 0.60 | 0.85 |
| normalized by the sum | 1.0 | 1.0 | 0.50 | 0.62 | 0.74 |
| rotated; gathered | 1.0 | 1.0 | 0.55, 0.59 | 0.68, 0.79 | 0.80, 0.90 |
| ``tanh`` of state and row, stacked; its gradient | 1.0 | 1.0 | 0.70, 0.63 | 0.89, 0.83 | |

A scatter of a few windows is written out as scatters of one each, which XLA makes slices of; of more, it is a kernel.

Such a function cannot call a library: not a loop with products of matrices, decompositions, sorts or callbacks, nor one
of many devices. A loop around or inside of such a one is looked at by itself.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.experimental.xla_metadata import set_xla_metadata
from jax.extend.core import ClosedJaxpr, Literal, jaxpr_as_fun

from loopjax.lower.clusters import Kind, copies, grouped, results_of, variables
from loopjax.lower.intra_op_parallelism import is_split
from loopjax.lower.jaxprs import array_bytes, inlined, inner_equations, replaced, with_equations, with_regions
from loopjax.lower.primitives import (
    ARITHMETIC,
    CALLS,
    CUMULATIVE,
    LOOPS,
    MOVES,
    RANDOM,
    REDUCTIONS,
    SCATTERS,
    TRANSCENDENTAL,
)

LARGEST_BYTES = 2**15
"""Bytes of an array up to which it is small: as many as the first cache has."""

COPIED_BYTES = 200
"""Bytes for each step of a first state that the function may copy: 20 ns, as much as a kernel takes."""

_BARRIER: Any = lax.optimization_barrier
_MARK: Any = set_xla_metadata

CONSTANTS = frozenset({"broadcast_in_dim", "convert_element_type", "iota", "reshape"})
"""Primitives that are run inside of the function where they depend on nothing, so that XLA sees their values."""

FREE = LOOPS | CALLS | {"dynamic_update_slice"}
"""Primitives whose results may be large: those of regions are looked at there, and the last writes in place, as
scatters of few windows do."""

PRIMITIVES = ARITHMETIC | TRANSCENDENTAL | MOVES | REDUCTIONS | CUMULATIVE | RANDOM | {"xla_metadata_value"}
"""Primitives that XLA compiles without a library on a CPU."""

READS = frozenset({"dynamic_slice", "slice"})
"""Primitives whose result may be one element of a large array."""

SCALARS = PRIMITIVES - RANDOM - {"gather"}
"""Primitives of scalars that join a function of loops."""

LIBRARY_REDUCTIONS = frozenset({"reduce_max", "reduce_min", "reduce_sum"})
LIBRARY_PRODUCT, LIBRARY_REDUCTION = 32, 4096
"""Multiplications of a product of two matrices, and elements of a reduction of floats, from which XLA gives it to a
library (jaxlib 0.10 and 0.12)."""

MOST_WRITES = 64
"""Windows of a scatter up to which they are written one by one. XLA makes a slice of a scatter of one window, and a
kernel of its own of any other. Time of a step that reads and adds to windows of 1 and 8 values over that with the
kernel: 2 windows 0.21 and 0.36, 8: 0.29 and 1.0, 16: 0.36 and 1.0, 64: 0.39 and 0.97; 2,400 of 1 value 1.9."""

UNROLLED_WRITES = 8
"""Writes of one window that stand in an iteration of the loop over them."""


def outlined(program: ClosedJaxpr) -> ClosedJaxpr:
    """Return a program whose loops of small arrays are functions of their own; itself where it has none."""
    groups, copied = grouped(program.jaxpr, _kind)
    equations = list[Any]()
    for group, results in zip(groups, results_of(groups, program.jaxpr), strict=True):
        if group.is_cluster:
            equations += called(program, [*copies(group.equations, copied), *group.equations], results)
        else:
            equations += [with_regions(equation, _outlined_region) for equation in group.equations]
    return with_equations(program, equations)


def _outlined_region(region: Any) -> Any:
    return outlined(region) if isinstance(region, ClosedJaxpr) else region


def _kind(equation: Any, copied: Mapping[Any, Any]) -> Kind:
    """Return what an equation is for clusters, which copy those that give the variables ``copied``."""
    given, name = [*variables(equation.invars)], equation.primitive.name
    if name in LOOPS:
        arrays = [*given, *equation.outvars]
        joins = _is_small(equation) and all(map(_has_elements, arrays)) and _large_states(equation) <= copied.keys()
        return "loop" if joins else "other"
    if name in CONSTANTS and all(variable in copied for variable in given):
        return "constant"
    return "scalar" if _is_scalar_op(equation) else "other"


def _is_scalar_op(equation: Any) -> bool:
    """Test if an equation computes scalars of scalars, or reads one of a small array: a large one that a function reads
    may be copied."""
    name, given = equation.primitive.name, [*variables(equation.invars)]
    if equation.effects or not all(map(_is_scalar, equation.outvars)):
        return False
    if name in READS:
        return not any(map(is_large, given))
    is_call = name in CALLS and all(map(_is_scalar_op, inner_equations(equation)))
    return (is_call or name in SCALARS) and all(map(_is_scalar, given))


def _is_scalar(variable: Any) -> bool:
    return math.prod(variable.aval.shape) == 1 and not jnp.issubdtype(variable.aval.dtype, jax.dtypes.extended)


def called(program: ClosedJaxpr, equations: Sequence[Any], results: Sequence[Any]) -> list[Any]:
    """The equations of a call of a function that runs ``equations``, for these ``results`` of them."""
    jaxpr = program.jaxpr
    constants = dict(zip(jaxpr.constvars, program.consts, strict=True))
    own = {variable for equation in equations for variable in equation.outvars}
    read = dict.fromkeys(v for equation in equations for v in variables(equation.invars) if v not in own)
    known = [v for v in read if v in constants and not is_large(v)]
    given = [v for v in read if v not in known]
    inner = [with_regions(each, _with_single_writes) for each in equations]
    effects = {effect for equation in equations for effect in equation.effects}
    replace: Any = jaxpr.replace
    region = replace(constvars=known, invars=given, outvars=results, eqns=inner, effects=effects)
    run = jaxpr_as_fun(ClosedJaxpr(region, [constants[variable] for variable in known]))

    @jax.jit
    def function(*arrays: Any) -> Any:
        return run(*arrays), _dependence(arrays)

    def call(*arrays: Any) -> Any:
        arrays = _BARRIER(arrays)  # or XLA moves constants into the function
        return _BARRIER(_MARK(function(*arrays), inlineable="false", xla_cpu_small_call="true"))[0]

    return inlined(call, given, results)


def _with_single_writes(region: Any) -> Any:
    """The region with scatters of several windows as scatters of one window each, in order."""

    def single(equation: Any) -> list[Any] | None:
        if equation.primitive.name not in SCATTERS or _windows(equation) <= 1:
            return None
        return inlined(functools.partial(_written_in_order, equation), equation.invars, equation.outvars)

    return replaced(region, single)


def _written_in_order(scatter: Any, x: Any, places: Any, windows: Any) -> Any:
    """The result of a scatter, a window at a time."""
    numbers = scatter.params["dimension_numbers"]
    inner = numbers.update_window_dims
    outer = [axis for axis in range(windows.ndim) if axis not in inner]
    windows = lax.transpose(windows, (*outer, *inner))
    count = _windows(scatter)
    rows = places.reshape(count, -1), windows.reshape(count, *windows.shape[len(outer) :])
    params = {**scatter.params, "dimension_numbers": numbers._replace(update_window_dims=(*range(len(inner)),))}

    def write(x: Any, row: Any) -> Any:
        return scatter.primitive.bind(x, *row, **params), None

    return lax.scan(write, x, rows, unroll=min(count, UNROLLED_WRITES))[0]


def _windows(scatter: Any) -> int:
    return math.prod(scatter.invars[1].aval.shape[:-1])


def _dependence(arrays: Sequence[Any]) -> Any:
    """A result that depends on an element of each array: false, whatever they are.

    XLA aborts at such a function where nothing reads a parameter (``GetAllSlices`` of ``computation_kernel_emitter.cc``
    looks at operands), and its simplifications may leave one behind. They do not look into bits: only LLVM finds out
    that ``x | 1`` is not 0. A barrier after the call keeps JAX from dropping it with the results that nobody reads.
    """
    return functools.reduce(jnp.logical_or, [bits(first(array)) | 1 == 0 for array in arrays], jnp.zeros((), bool))


def first(array: Any) -> Any:
    """The first element of an array."""
    return lax.slice(array, (0,) * array.ndim, (1,) * array.ndim).reshape(())


def bits(element: Any) -> Any:
    """An integer that depends on an element: its bits, where it is a float."""
    if jnp.issubdtype(element.dtype, jax.dtypes.extended):
        element = first(jax.random.key_data(element))
    if jnp.issubdtype(element.dtype, jnp.complexfloating):
        element = element.real
    if jnp.issubdtype(element.dtype, jnp.floating):
        return lax.bitcast_convert_type(element, f"uint{8 * element.dtype.itemsize}")
    return element.astype("uint8") if element.dtype == bool else element


def _large_states(loop: Any) -> set[Any]:
    """The first states of a loop that are large for its number of steps: the function copies each that it does not
    make. What ``while`` carries it gives again; a ``scan`` carries arrays, and reads rows of its sequences."""
    most = max(LARGEST_BYTES, COPIED_BYTES * loop.params.get("length", 0))
    is_while = loop.primitive.name == "while"
    body = loop.params["body_jaxpr" if is_while else "jaxpr"].jaxpr
    given = {_shape(variable) for variable in body.outvars}
    inner = body.invars[-len(body.outvars) :] if is_while else body.invars
    return {
        variable
        for variable, one in zip(loop.invars[-len(inner) :], inner, strict=True)
        if not isinstance(variable, Literal) and array_bytes(one) > most and _shape(variable) == _shape(one) in given
    }


def _shape(variable: Any) -> Any:
    return variable.aval.shape, variable.aval.dtype


def _is_small(loop: Any) -> bool:
    """Return whether XLA can compile a loop into one function, and its arrays are small."""
    return not loop.effects and all(map(may_stand_inside, inner_equations(loop))) and not is_split(loop)


def may_stand_inside(equation: Any) -> bool:
    name = equation.primitive.name
    if name in FREE:
        return True
    if name in SCATTERS:
        numbers = equation.params["dimension_numbers"]
        return _windows(equation) <= MOST_WRITES and not numbers.operand_batching_dims
    if any(map(is_large, equation.outvars)):
        return False
    if name in LIBRARY_REDUCTIONS and math.prod(equation.invars[0].aval.shape) >= LIBRARY_REDUCTION:
        return not jnp.issubdtype(equation.outvars[0].aval.dtype, jnp.inexact)
    return name in PRIMITIVES or (name == "dot_general" and _is_tiny(equation))


def _is_tiny(product: Any) -> bool:
    """Return whether XLA multiplies without a library: vectors, and matrices of a few elements."""
    left, right = (variable.aval.shape for variable in product.invars)
    ((summed, _), (batch, _)) = product.params["dimension_numbers"]
    depth, count = (math.prod(left[axis] for axis in axes) for axes in (summed, batch))
    rows, columns = math.prod(left) // max(depth * count, 1), math.prod(right) // max(depth * count, 1)
    return min(rows, columns, depth) == 1 or rows * columns * depth < LIBRARY_PRODUCT


def is_large(variable: Any) -> bool:
    return array_bytes(variable) > LARGEST_BYTES


def _has_elements(variable: Any) -> bool:
    return bool(math.prod(variable.aval.shape)) and variable.aval.dtype != jax.dtypes.float0
