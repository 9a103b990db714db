"""Elementwise loops as one GPU kernel each, by Pallas on its Mosaic GPU backend.

XLA launches the kernels of every iteration of a loop, for 8 to 30 us. Where a step is elementwise, no element needs
another: a program of 128 threads runs all steps for 128 elements, with the states in registers. It reads the rows of
several steps before it computes the first of them, so that it waits for the memory once for all.

A loop qualifies where each value of a step is one number or has as many elements as all others that are none, and each
op is in the tables below. A ``while`` may read rows of its constants and write rows of its buffers by a counter. Arrays
are flattened and padded to whole blocks; every program computes by itself what is one number.

Not among them: ops that Mosaic has no rule for or computes otherwise than XLA at the margins (quotients of integers,
conversions of floats to integers, ``floor``), and sums over elements, as in the gradient of a number that all share.

``Mode(loop_kernels=True)`` asks for them, on a GPU. They were not measured on one yet; tests have Pallas interpret them
on a CPU.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from functools import cache, partial
from importlib import import_module
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.extend.core import ClosedJaxpr, Literal

from loopjax.ir.graph import Variable
from loopjax.ir.scan import Scan
from loopjax.ir.types import jax_dtype
from loopjax.lower.interpreter import evaluate
from loopjax.lower.jaxprs import equations_of, inlined, inner_equations, regions, replaced
from loopjax.lower.primitives import INLINED_CALLS, SAME_ELEMENTS

BLOCK = 128
"""Elements of a program: one for each thread of Mosaic's smallest group."""

STEPS, OPS, ROWS = 8, 512, 32
"""Most steps of an iteration of a kernel, and most ops and rows of all its steps."""

MOST_ELEMENTS = 2**30
"""Elements of an array up to which 32 bits count them, padded."""

DTYPES = frozenset({"bool", "int32", "int64", "uint32", "uint64", "float32", "float64"})
READ, WRITE = "dynamic_slice", "dynamic_update_slice"
FLOATS = frozenset({"abs", "div", "sign"})
ELEMENTWISE = FLOATS | {
    *("add", "and", "atan2", "cos", "eq", "erf", "exp", "exp2", "ge", "gt", "le", "log", "logistic", "lt", "max"),
    *("min", "mul", "ne", "neg", "not", "one_minus_square", "or", "rsqrt", "select_n", "sin", "sqrt", "square"),
    *("sub", "tanh", "xor"),
}
"""Primitives that Mosaic and XLA compute alike, the first for floats only."""


class _NotElementwiseError(Exception):
    """Raised where a loop cannot become a kernel."""


def _converted(equation: Any, x: Any) -> Any:
    dtype = equation.params["new_dtype"]
    if jnp.issubdtype(x.dtype, jnp.floating) and not jnp.issubdtype(dtype, jnp.floating):
        raise _NotElementwiseError
    return lax.convert_element_type(x, dtype)


def _integer_power(equation: Any, x: Any) -> Any:
    exponent = equation.params["y"]
    if not exponent or not jnp.issubdtype(x.dtype, jnp.floating):
        raise _NotElementwiseError
    power = lax.integer_pow(x, abs(exponent)) if abs(exponent) > 1 else x
    return power if exponent > 0 else lax.div(_like(1, x), power)


def _log1p(_: Any, x: Any) -> Any:
    """Logarithm of ``1 + x``: near 0 twice the series of the inverse hyperbolic tangent of ``x / (2 + x)``."""
    z = lax.div(x, lax.add(x, _like(2, x)))
    total = _like(0, x)
    for power in reversed(range(1, 22, 2)):
        total = lax.add(lax.mul(total, lax.mul(z, z)), _like(2 / power, x))
    return lax.select(lax.lt(lax.abs(x), _like(0.25, x)), lax.mul(z, total), lax.log(lax.add(x, _like(1, x))))


def _like(number: float, x: Any) -> Any:
    return lax.full_like(x, number)


RULES: dict[str, Callable[..., Any]] = {
    "add_any": lambda _, x, y: lax.add(x, y),
    "clamp": lambda _, low, x, high: lax.min(lax.max(x, low), high),
    "convert_element_type": _converted,
    "expm1": lambda _, x: lax.mul(lax.tanh(lax.mul(x, _like(0.5, x))), lax.add(lax.exp(x), _like(1, x))),
    "integer_pow": _integer_power,
    "is_finite": lambda _, x: lax.lt(lax.abs(x), _like(np.inf, x)),
    "log1p": _log1p,
}
"""Functions of an equation and its operands for primitives that Mosaic has no rule for, or not for all parameters."""


class _Array(NamedTuple):
    """An array of a loop: the rows that steps read or write, one where it has none, and whether it is split."""

    shape: tuple[int, ...]
    dtype: Any
    rows: int
    is_split: bool

    @property
    def stored(self) -> Any:
        """Its type in the GPU's memory: a padded matrix, truth values as integers."""
        columns = -(-math.prod(self.shape) // self.rows // BLOCK) * BLOCK if self.is_split else 1
        return _type((self.rows, columns), "int32" if self.dtype == bool else self.dtype)

    def to_memory(self, x: Any) -> Any:
        x = jnp.reshape(x, (self.rows, -1)).astype(self.stored.dtype)
        return jnp.pad(x, ((0, 0), (0, self.stored.shape[1] - x.shape[1])))

    def from_memory(self, x: Any) -> Any:
        return x[:, : math.prod(self.shape) // self.rows].reshape(self.shape).astype(self.dtype)


_type: Any = jax.ShapeDtypeStruct


def _array(variable: Any, elements: int, has_rows: bool = False) -> _Array:
    """The array of a variable in a loop whose values have this number of elements, or one."""
    shape, dtype = variable.aval.shape, variable.aval.dtype
    rows = shape[0] if has_rows else 1
    size = math.prod(shape[1:] if has_rows else shape)
    if size not in (1, elements) or not 0 < rows * size < MOST_ELEMENTS or dtype.name not in DTYPES:
        raise _NotElementwiseError
    return _Array(shape, dtype, rows, size > 1)


class _Place(NamedTuple):
    """An array in memory, the columns of a program in it, and whether it is a result, which may be written."""

    ref: Any
    columns: Any
    dtype: Any
    is_result: bool

    def load(self, row: Any = 0) -> Any:
        value = self.ref[row, self.columns]
        return lax.ne(value, _like(0, value)) if self.dtype == bool else value

    def store(self, value: Any, row: Any = 0) -> None:
        self.ref[row, self.columns] = lax.convert_element_type(value, "int32") if self.dtype == bool else value


class _Loop(NamedTuple):
    """A loop: ``body`` takes constants, carry and rows, ``condition`` constants of its own and the carry.

    ``tests``, ``consts`` and ``carried`` count them, and ``indexed`` are the inputs of the loop that the body reads or
    writes by rows. A ``scan`` has a ``length``.
    """

    body: Any
    elements: int
    indexed: frozenset[int]
    consts: int
    carried: int
    condition: Any = None
    tests: int = 0
    length: int = 0
    reverse: bool = False


def with_loop_kernels(program: Any, interpret: bool | None = None) -> Any:
    """Return a program with kernels in place of elementwise loops; itself where it has none.

    With ``interpret``, by default on a CPU, Pallas interprets them.
    """
    interpret = jax.default_backend() == "cpu" if interpret is None else interpret
    return replaced(program, partial(_in_kernel, interpret=interpret))


def is_elementwise(op: Scan, wrt: Collection[Variable]) -> bool:
    """Return whether the ops of a loop's planned body may stand in a kernel, and gradients by the inputs ``wrt`` of the
    body are no sums over elements."""
    inputs = op.body.inputs
    is_pointwise = op.samples is None and all(node.op.has("pointwise") for node in op.body.applies)
    if not is_pointwise or not is_available():
        return False
    program = jax.make_jaxpr(lambda *arrays: evaluate(op.body, arrays))(
        *(_type(variable.type.sizes, jax_dtype(variable.dtype)) for variable in inputs)
    )
    equations = (inner for one in program.eqns for inner in (one, *inner_equations(one)))
    elements = _elements(equations, program.jaxpr.invars)
    if any(one in wrt and one.type.is_float and one.type.elements < elements for one in inputs):
        return False
    try:
        blocks = [_array(variable, elements) for variable in program.jaxpr.invars]
        types = [_type((BLOCK,) * one.is_split, one.dtype) for one in blocks]
        jax.eval_shape(lambda *arrays: _evaluate(program, elements, arrays), *types)
    except _NotElementwiseError:
        return False
    return True


@cache
def is_available() -> bool:
    """Return whether Pallas has its Mosaic GPU backend here: up to jax 0.10 it imports absl. Its interpreter needs
    none."""
    try:
        return jax.default_backend() == "cpu" or bool(import_module("jax.experimental.pallas.mosaic_gpu"))
    except ImportError:
        return False


def _in_kernel(equation: Any, interpret: bool) -> list[Any] | None:
    """The equations of a kernel in place of a loop; ``None`` where it is no kernel, or this JAX cannot lower it."""
    form = {"scan": _scan, "while": _while}.get(equation.primitive.name)
    if form is None:
        return None
    refused = _NotElementwiseError if interpret else Exception  # Mosaic raises errors of many types
    try:
        with jax.enable_x64(True):
            run = partial(_run, form(equation), equation, interpret)
            if not interpret:
                types = [_type(variable.aval.shape, variable.aval.dtype) for variable in equation.invars]
                jax.jit(run).trace(*types).lower(lowering_platforms=("cuda",))
            return inlined(run, equation.invars, equation.outvars)
    except refused:
        return None


def _scan(equation: Any) -> _Loop:
    params, body = equation.params, equation.params["jaxpr"]
    if "ft_in" in params:  # from jax 0.11 on
        consts, carried, _ = map(len, params["ft_in"].unpack())
    else:
        consts, carried = params["num_consts"], params["num_carry"]
    indexed = _indexed(body)
    if not params["length"] or max(indexed, default=-1) >= consts:
        raise _NotElementwiseError
    elements = _elements(inner_equations(equation), [*body.jaxpr.invars[consts:], *body.jaxpr.outvars])
    return _Loop(body, elements, indexed, consts, carried, length=params["length"], reverse=params["reverse"])


def _while(equation: Any) -> _Loop:
    params, elements = equation.params, _elements(inner_equations(equation), [])
    body, condition, consts, tests = (
        params[name] for name in ("body_jaxpr", "cond_jaxpr", "body_nconsts", "cond_nconsts")
    )
    indexed, carried = _indexed(body), len(body.jaxpr.outvars)
    is_kept = all(_is_written_only(body.jaxpr, position) for position in indexed if position >= consts)
    if _indexed(condition) or not is_kept:
        raise _NotElementwiseError
    places = frozenset(tests + position for position in indexed)
    return _Loop(body, elements, places, consts, carried, condition, tests)


def _is_written_only(body: Any, position: int) -> bool:
    """Return whether all that is done with a buffer is to write one row of it, and to hand it on."""
    buffer, after = body.invars[position], body.outvars[position - len(body.invars) + len(body.outvars)]
    readers = [one for one in body.eqns if buffer in one.invars or after in one.invars]
    is_write = len(readers) == 1 and readers[0].primitive.name == WRITE
    return (
        is_write and [readers[0].invars[0], *readers[0].outvars] == [buffer, after] and body.outvars.count(after) == 1
    )


def _indexed(region: Any) -> frozenset[int]:
    """The inputs of a region that it reads or writes by rows."""
    found = set[Any]()
    for equation in equations_of(region):
        if equation.primitive.name in (READ, WRITE):
            found.add(equation.invars[0])
        elif equation.primitive.name in INLINED_CALLS:
            found.update(equation.invars[position] for inner in regions(equation) for position in _indexed(inner))
    invars = (region.jaxpr if isinstance(region, ClosedJaxpr) else region).invars
    return frozenset(position for position, variable in enumerate(invars) if variable in found)


def _elements(equations: Iterable[Any], variables: Sequence[Any]) -> int:
    """The elements of a loop's values that are no single number: the most of its ops' results and of ``variables``."""
    made = [v for one in equations if one.primitive.name not in INLINED_CALLS | {WRITE} for v in one.outvars]
    return max((math.prod(variable.aval.shape) for variable in (*made, *variables)), default=1)


def _evaluate(region: Any, elements: int, given: Sequence[Any]) -> list[Any]:
    """The results of a region for one block of its arrays, and places of those that it reads or writes by rows."""
    jaxpr, consts = (region.jaxpr, region.consts) if isinstance(region, ClosedJaxpr) else (region, ())
    values = dict(zip([*jaxpr.constvars, *jaxpr.invars], [*map(_number, consts), *given], strict=True))

    def read(variables: Iterable[Any]) -> list[Any]:
        return [_number(v.val, v.aval) if isinstance(v, Literal) else values[v] for v in variables]

    for equation in jaxpr.eqns:
        operands = read(equation.invars)
        if equation.primitive.name in INLINED_CALLS and len(inner := regions(equation)) == 1:
            results = _evaluate(inner[0], elements, operands)
        else:
            results = [_result(equation, elements, operands)]
        values.update(zip(equation.outvars, results, strict=True))
    return read(jaxpr.outvars)


def _number(value: Any, type: Any = None) -> Any:
    """A constant as a number that a program holds as a literal."""
    if np.size(value) != 1 or isinstance(value, jax.core.Tracer):
        raise _NotElementwiseError
    return np.asarray(value, type and type.dtype).reshape(())[()]


def _result(equation: Any, elements: int, operands: list[Any]) -> Any:
    """The result of an op for one block."""
    name = equation.primitive.name
    if len(equation.outvars) != 1:
        raise _NotElementwiseError
    if name in (READ, WRITE):
        return _row(equation, operands)
    variable = equation.outvars[0]
    block = (BLOCK,) * _array(variable, elements).is_split
    is_float = jnp.issubdtype(variable.aval.dtype, jnp.floating)
    is_known = name in RULES or name in SAME_ELEMENTS or name in (ELEMENTWISE if is_float else ELEMENTWISE - FLOATS)
    if not is_known or any(isinstance(one, _Place) or np.shape(one) not in ((), block) for one in operands):
        raise _NotElementwiseError
    operands = [one if np.shape(one) == block else lax.broadcast(one, block) for one in operands]
    if name in SAME_ELEMENTS:
        return operands[0]
    return RULES[name](equation, *operands) if name in RULES else equation.primitive.bind(*operands, **equation.params)


def _row(equation: Any, operands: list[Any]) -> Any:
    """The row that an op reads along the first axis, or the place where it wrote one."""
    place, shape = operands[0], equation.invars[0].aval.shape
    is_read = equation.primitive.name == READ
    window = (equation.outvars[0] if is_read else equation.invars[1]).aval.shape
    if not isinstance(place, _Place) or window != (1, *shape[1:]) or not (is_read or place.is_result):
        raise _NotElementwiseError
    row = _within(operands[len(operands) - len(shape)], shape[0])
    if is_read:
        return place.load(row)
    place.store(operands[1], row)
    return place


def _within(row: Any, rows: int) -> Any:
    """The number of a row, or of the first or the last one, as XLA reads those beyond."""
    return lax.max(lax.min(row, row.dtype.type(rows - 1)), row.dtype.type(0))


def _run(loop: _Loop, equation: Any, interpret: bool, *arrays: Any) -> list[Any]:
    """The results of a loop, by its kernel."""
    first, after = loop.tests + loop.consts, loop.tests + loop.consts + loop.carried

    def described(position: int, variable: Any) -> _Array:
        return _array(variable, loop.elements, position in loop.indexed or position >= after)

    given = [described(position, variable) for position, variable in enumerate(equation.invars)]
    results = [described(position, variable) for position, variable in enumerate(equation.outvars, first)]

    def kernel(columns: Any, *refs: Any) -> None:
        pairs = enumerate(zip(refs, [*given, *results], strict=True))
        places = [_Place(ref, columns if one.is_split else 0, one.dtype, i >= len(given)) for i, (ref, one) in pairs]
        inputs, outputs = places[: len(given)], places[len(given) :]
        fixed = [place if position in loop.indexed else place.load() for position, place in enumerate(inputs[:first])]
        buffers = {position - first for position in loop.indexed if position >= first}
        for position in buffers:
            _copied(inputs[first + position], outputs[position], results[position].rows)
        states = [position for position in range(loop.carried) if position not in buffers]

        def everything(carry: Any) -> list[Any]:
            values = dict(zip(states, carry, strict=True))
            return [values.get(position, outputs[position]) for position in range(loop.carried)]

        def go_on(carry: Any) -> Any:
            return _evaluate(loop.condition, loop.elements, [*fixed[: loop.tests], *everything(carry)])[0]

        def step(carry: Any, slices: Sequence[Any] = ()) -> Any:
            found = _evaluate(loop.body, loop.elements, [*fixed[loop.tests :], *everything(carry), *slices])
            return tuple(found[position] for position in states), found[loop.carried :]

        carry = tuple(inputs[first + position].load() for position in states)
        if loop.condition is None:
            carry = _scanned(loop, step, carry, inputs[after:], outputs[loop.carried :])
        else:
            carry = lax.while_loop(go_on, lambda carry: step(carry)[0], carry)
        for position, value in zip(states, carry, strict=True):
            outputs[position].store(value)

    programs = max(one.stored.shape[1] for one in (*given, *results)) // BLOCK or 1
    stored = [one.to_memory(array) for one, array in zip(given, arrays, strict=True)]
    found = _launched(kernel, [one.stored for one in results], programs, interpret)(*stored)
    return [one.from_memory(array) for one, array in zip(results, found, strict=True)]


def _scanned(loop: _Loop, step: Callable[..., Any], carry: Any, rows: list[_Place], stacks: list[_Place]) -> Any:
    """The carry after all steps, several at a time, which read the rows of those after them before they begin."""
    ops = OPS // max(len(loop.body.eqns), 1)
    count = np.int32(max(min(STEPS, ops, ROWS // max(len(rows), 1), loop.length), 1))
    whole, rest = map(np.int32, divmod(loop.length, count))

    def numbered(first: Any, count: Any) -> Iterator[Any]:
        for number in range(count):
            row = first + np.int32(number)
            yield _within(np.int32(loop.length - 1) - row if loop.reverse else row, loop.length)

    def read(first: Any, count: Any) -> Any:
        return [[place.load(row) for place in rows] for row in numbered(first, count)]

    def run(first: Any, carry: Any, slices: Any) -> Any:
        for row, slice in zip(numbered(first, len(slices)), slices, strict=True):
            carry, found = step(carry, slice)
            for place, value in zip(stacks, found, strict=True):
                place.store(value, row)
        return carry

    def steps(i: Any, state: Any) -> Any:
        ahead = read(i * count + count, count)
        return run(i * count, *state), ahead

    def last(i: Any, carry: Any) -> Any:
        return run(whole * count + i, carry, read(whole * count + i, 1))

    start = np.int32(0)
    carry, _ = lax.fori_loop(start, whole, steps, (carry, read(start, count)))
    return lax.fori_loop(start, rest, last, carry) if rest else carry


def _copied(source: _Place, target: _Place, rows: int) -> None:
    """Writes the rows of one array to another, the last one more than once where they are no whole iteration."""

    def copy(i: Any, _: Any) -> Any:
        numbers = [_within(i * np.int32(STEPS) + np.int32(step), rows) for step in range(STEPS)]
        for row, value in zip(numbers, [source.load(row) for row in numbers], strict=True):
            target.store(value, row)
        return ()

    lax.fori_loop(np.int32(0), np.int32(-(-rows // STEPS)), copy, ())


def _launched(kernel: Callable[..., None], results: list[Any], programs: int, interpret: bool) -> Callable[..., Any]:
    """A function of arrays that runs the programs of a kernel, each for its columns."""
    from jax.experimental import pallas as pl  # takes longer to import than the package

    def columns(program: Any) -> Any:
        return pl.ds(program * np.int32(BLOCK), BLOCK)

    if interpret:
        run = partial(pl.pallas_call, out_shape=results, grid=(programs,), interpret=True)
        return run(lambda *refs: kernel(columns(pl.program_id(0)), *refs))
    from jax.experimental.pallas import mosaic_gpu

    params = mosaic_gpu.CompilerParams(
        lowering_semantics=mosaic_gpu.LoweringSemantics.Lane,
        unsafe_no_auto_barriers=True,  # no memory is both read and written
    )
    run = partial(mosaic_gpu.kernel, out_type=results, grid=(programs,), grid_names=("block",), compiler_params=params)
    return run(lambda *refs: kernel(columns(lax.axis_index("block")), *refs))
