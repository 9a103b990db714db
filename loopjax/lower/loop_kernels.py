"""Elementwise loops as one GPU kernel each, by Pallas on its Mosaic GPU backend.

XLA launches the kernels of every iteration of a loop, for 8 to 30 us. Where a step is elementwise, no element needs
another: a program of 128 threads runs all steps for 128 elements, with the states in registers. It reads the rows of
several steps before it computes the first of them, so that it waits for the memory once for all.

A loop qualifies where each value of a step is one number or has as many elements as all others that are none, and each
op is in the tables below. A ``while`` may read rows of its constants and write rows of its buffers by a counter. Arrays
are flattened and padded to whole blocks; every program computes by itself what is one number.

Not among them: ops that Mosaic has no rule for or computes otherwise than XLA at the margins (quotients of integers,
conversions of floats to integers, ``floor``), and sums over elements, as in the gradient of a number that all share.

``Mode(loop_kernels=True)`` asks for them. On a CPU Pallas interprets them, which is a test and no gain.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Sequence
from functools import partial
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

BLOCK = 128
"""Elements of a program: one for each thread of Mosaic's smallest group."""

STEPS, OPS, ROWS = 8, 512, 32
"""Most steps of an iteration of a kernel, and most ops and rows of all its steps."""

POSITIONS = 2**31
"""Elements of an array from which on 32 bits do not count them."""

DTYPES = frozenset({"bool", "int32", "int64", "uint32", "uint64", "float16", "bfloat16", "float32", "float64"})
CALLS = frozenset({"checkpoint", "closed_call", "custom_jvp_call", "custom_vjp_call", "jit", "pjit", "remat2"})
READ, WRITE = "dynamic_slice", "dynamic_update_slice"
SAME = frozenset({"broadcast_in_dim", "copy", "copy_p", "expand_dims", "name", "reshape", "squeeze", "stop_gradient"})
"""Primitives that leave a flat array as it is, or repeat one number."""

FLOATS = frozenset({"abs", "div", "sign"})
ELEMENTWISE = FLOATS | {
    *("add", "and", "atan2", "cos", "eq", "erf", "exp", "exp2", "ge", "gt", "le", "log", "logistic", "lt", "max"),
    *("min", "mul", "ne", "neg", "not", "one_minus_square", "or", "rsqrt", "select_n", "sin", "sqrt", "square"),
    *("sub", "tanh", "xor"),
}
"""Primitives that Mosaic and XLA compute alike, the first for floats only."""


def _converted(equation: Any, x: Any) -> Any:
    dtype = equation.params["new_dtype"]
    if jnp.issubdtype(x.dtype, jnp.floating) and not jnp.issubdtype(dtype, jnp.floating):
        raise _NotElementwiseError
    return lax.convert_element_type(x, dtype)


def _integer_power(equation: Any, x: Any) -> Any:
    exponent = equation.params["y"]
    power = lax.integer_pow(x, abs(exponent)) if abs(exponent) > 1 else x
    if not exponent:
        raise _NotElementwiseError
    return power if exponent > 0 else lax.div(_like(1, x), power)


def _log1p(_: Any, x: Any) -> Any:
    """Logarithm of ``1 + x``: near 0 twice the series of the inverse hyperbolic tangent of ``x / (2 + x)``."""
    z = lax.div(x, lax.add(x, _like(2, x)))
    total = _like(0, x)
    for power in reversed(range(1, 22, 2)):
        total = lax.add(lax.mul(total, lax.mul(z, z)), _like(2 / power, x))
    return lax.select(lax.lt(lax.abs(x), _like(0.25, x)), lax.mul(z, total), lax.log(lax.add(x, _like(1, x))))


def _expm1(_: Any, x: Any) -> Any:
    return lax.mul(lax.tanh(lax.mul(x, _like(0.5, x))), lax.add(lax.exp(x), _like(1, x)))


def _rounded(equation: Any, x: Any) -> Any:
    """A value as it is, where it has no more digits than it is rounded to."""
    if (equation.params["exponent_bits"], equation.params["mantissa_bits"]) != HALVES.get(x.dtype.name):
        raise _NotElementwiseError
    return x


def _like(number: float, x: Any) -> Any:
    return lax.full_like(x, number)


RULES: dict[str, Callable[..., Any]] = {
    "add_any": lambda _, x, y: lax.add(x, y),
    "clamp": lambda _, low, x, high: lax.min(lax.max(x, low), high),
    "convert_element_type": _converted,
    "expm1": _expm1,
    "integer_pow": _integer_power,
    "is_finite": lambda _, x: lax.lt(lax.abs(x), _like(np.inf, x)),
    "log1p": _log1p,
    "reduce_precision": _rounded,
}
"""Functions of an equation and its operands for primitives that Mosaic has no rule for, or not for all parameters."""

HALVES = {"float16": (5, 10), "bfloat16": (8, 7)}
"""Bits of the exponent and the mantissa of each."""


_type: Any = jax.ShapeDtypeStruct


class _NotElementwiseError(Exception):
    """A loop is no kernel."""


class _Rows(NamedTuple):
    """An array that a step reads or writes by rows."""

    array: Any


class _Array(NamedTuple):
    """An array of a loop: its type, whether it has a row for each step, and whether it is split into blocks."""

    shape: tuple[int, ...]
    dtype: Any
    has_rows: bool
    is_split: bool

    @property
    def stored(self) -> Any:
        """The type of the array in the GPU's memory: flat, padded, truth values as integers."""
        lead = self.shape[:1] if self.has_rows else ()
        columns = -(-math.prod(self.shape[len(lead) :]) // BLOCK) * BLOCK
        shape = (*lead, columns) if self.is_split else lead or (1,)
        if math.prod(shape) >= POSITIONS:
            raise _NotElementwiseError
        return _type(shape, "int32" if self.dtype == bool else self.dtype)

    def to_memory(self, x: Any) -> Any:
        stored = self.stored
        x = jnp.reshape(x, (*stored.shape[:-1], -1)).astype(stored.dtype)
        return lax.pad(x, x.dtype.type(0), [*[(0, 0, 0)] * (x.ndim - 1), (0, stored.shape[-1] - x.shape[-1], 0)])

    def from_memory(self, x: Any) -> Any:
        size = math.prod(self.shape) // math.prod(x.shape[:-1])
        return x[..., :size].reshape(self.shape).astype(self.dtype)


class _Place(NamedTuple):
    """An array in memory, and the columns of a program in it, ``None`` where it has none."""

    ref: Any
    columns: Any
    dtype: Any

    def load(self, *row: Any) -> Any:
        value = self.ref[self._index(row)]
        return lax.ne(value, _like(0, value)) if self.dtype == bool else value

    def store(self, value: Any, *row: Any) -> None:
        if self.dtype == bool:
            value = lax.convert_element_type(value, "int32")
        self.ref[self._index(row)] = value

    def _index(self, row: tuple[Any, ...]) -> Any:
        rows = [lax.max(lax.min(one, one.dtype.type(self.ref.shape[0] - 1)), one.dtype.type(0)) for one in row]
        return (*rows, self.columns) if self.columns is not None else (*rows,) or (0,)


class _Loop(NamedTuple):
    """A loop at the shapes of one block: ``body`` takes constants, carry and rows, ``condition`` constants and carry.

    ``indexed`` are the body's inputs that it reads or writes by rows, ``tests`` and ``consts`` the numbers of
    constants of the two, and ``length`` the steps of a ``scan``.
    """

    body: Any
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
    """Return whether all ops of a loop's planned body may stand in a kernel, and those of its gradient by the body's
    inputs ``wrt``."""
    if op.samples is not None or not all(node.op.has("pointwise") for node in op.body.applies):
        return False

    inputs = op.body.inputs
    floats = [place for place, variable in enumerate(inputs) if variable.type.is_float and variable in wrt]

    def run(*arrays: Any) -> Any:
        def results(*some: Any) -> tuple[list[Any], list[Any]]:
            given = [*arrays]
            for place, x in zip(floats, some, strict=True):
                given[place] = x
            values = [jnp.asarray(x) for x in evaluate(op.body, given)]
            return [x for x in values if jnp.issubdtype(x.dtype, jnp.floating)], values

        found, pull, others = jax.vjp(results, *(arrays[place] for place in floats), has_aux=True)
        return pull(found), others

    types = [_type(variable.type.sizes, jax_dtype(variable.dtype)) for variable in inputs]
    with jax.enable_x64(True):
        program = jax.make_jaxpr(run)(*types)
        equations = [inner for one in program.eqns for inner in (one, *inner_equations(one))]
        try:
            _at_block(program, _elements(equations, program.jaxpr.invars), frozenset())
        except _NotElementwiseError:
            return False
    return True


def _in_kernel(equation: Any, interpret: bool) -> list[Any] | None:
    """The equations of a kernel in place of a loop; ``None`` where it is no kernel, or this JAX cannot lower it."""
    if equation.primitive.name not in ("scan", "while") or equation.effects:
        return None
    with jax.enable_x64(True):
        try:
            run = _kernel((_scan if equation.primitive.name == "scan" else _while)(equation), equation, interpret)
        except _NotElementwiseError:
            return None
        if not interpret:
            types = [_type(variable.aval.shape, variable.aval.dtype) for variable in equation.invars]
            try:
                jax.jit(run).trace(*types).lower(lowering_platforms=("cuda",))
            except Exception:  # of many types: modules that lack, rules that lack, layouts that differ
                return None
        return inlined(run, equation.invars, equation.outvars)


def _scan(equation: Any) -> _Loop:
    params, body = equation.params, equation.params["jaxpr"]
    if "ft_in" in params:  # from jax 0.11 on
        consts, carried, _ = map(len, params["ft_in"].unpack())
    else:
        consts, carried = params["num_consts"], params["num_carry"]
    indexed = _indexed(body)
    if not params["length"] or any(position >= consts for position in indexed):
        raise _NotElementwiseError
    elements = _elements(inner_equations(equation), [*body.jaxpr.invars[consts:], *body.jaxpr.outvars])
    flat = _at_block(body, elements, indexed)
    return _Loop(flat, indexed, consts, carried, length=params["length"], reverse=params["reverse"])


def _while(equation: Any) -> _Loop:
    params = equation.params
    body, condition = params["body_jaxpr"], params["cond_jaxpr"]
    consts, tests = params["body_nconsts"], params["cond_nconsts"]
    indexed, elements = _indexed(body), _elements(inner_equations(equation), [])
    buffers = frozenset(position for position in indexed if position >= consts)
    flat = _at_block(body, elements, indexed)
    test = _at_block(condition, elements, frozenset(position - consts + tests for position in buffers))
    if _indexed(condition) or not all(_is_written_only(flat, position) for position in buffers):
        raise _NotElementwiseError
    return _Loop(flat, indexed, consts, len(flat.outvars), test, tests)


def _is_written_only(body: Any, position: int) -> bool:
    """Return whether all that is done with a buffer is to write one row of it, and to hand it on."""
    buffer, after = body.invars[position], body.outvars[position - len(body.invars) + len(body.outvars)]
    readers = [one for one in body.eqns if buffer in one.invars or after in one.invars]
    writes = [
        one for one in readers if one.primitive.name == WRITE and [one.invars[0], *one.outvars] == [buffer, after]
    ]
    return len(readers) == len(writes) == 1 and body.outvars.count(after) == 1


def _indexed(region: Any) -> frozenset[int]:
    """The inputs of a region that it reads or writes by rows."""
    found = set[Any]()
    for equation in equations_of(region):
        if equation.primitive.name in (READ, WRITE):
            found.add(equation.invars[0])
        elif equation.primitive.name in CALLS:
            found.update(equation.invars[position] for inner in regions(equation) for position in _indexed(inner))
    invars = (region.jaxpr if isinstance(region, ClosedJaxpr) else region).invars
    return frozenset(position for position, variable in enumerate(invars) if variable in found)


def _elements(equations: Iterable[Any], variables: Sequence[Any]) -> int:
    """The elements of a loop's values that are no single number: the most of its ops' results and of ``variables``."""
    made = [v for one in equations if one.primitive.name not in CALLS | {WRITE} for v in one.outvars]
    return max((math.prod(variable.aval.shape) for variable in (*made, *variables)), default=1)


def _at_block(region: ClosedJaxpr, elements: int, indexed: frozenset[int]) -> Any:
    """The region on arrays of one block, with no calls inside."""

    def type_at(position: int, variable: Any) -> Any:
        shape, lead = variable.aval.shape, 1 if position in indexed else 0
        size = math.prod(shape[lead:])
        if size not in (1, elements) or variable.aval.dtype.name not in DTYPES:
            raise _NotElementwiseError
        return _type((*shape[:lead], *[BLOCK] * (size > 1)), variable.aval.dtype)

    def results(*arrays: Any) -> list[Any]:
        given = [_Rows(array) if position in indexed else array for position, array in enumerate(arrays)]
        found = _evaluate(region, elements, given)
        return [one.array if isinstance(one, _Rows) else one for one in found]

    types = [type_at(position, variable) for position, variable in enumerate(region.jaxpr.invars)]
    return jax.make_jaxpr(results)(*types).jaxpr


def _evaluate(region: Any, elements: int, given: Sequence[Any]) -> list[Any]:
    """The results of a region for one block of its arrays."""
    jaxpr, consts = (region.jaxpr, region.consts) if isinstance(region, ClosedJaxpr) else (region, ())
    values = dict(zip([*jaxpr.constvars, *jaxpr.invars], [*map(_number, consts), *given], strict=True))
    for equation in jaxpr.eqns:
        operands = [_value(variable, values) for variable in equation.invars]
        if equation.primitive.name in CALLS and len(inner := regions(equation)) == 1:
            results = _evaluate(inner[0], elements, operands)
        else:
            results = [_result(equation, elements, operands)]
        values.update(zip(equation.outvars, results, strict=True))
    return [_value(variable, values) for variable in jaxpr.outvars]


def _value(variable: Any, values: dict[Any, Any]) -> Any:
    aval = variable.aval
    return _number(variable.val, aval.dtype) if isinstance(variable, Literal) else values[variable]


def _number(value: Any, dtype: Any = None) -> Any:
    """A constant as a number that a program holds as a literal."""
    if np.size(value) != 1 or isinstance(value, jax.core.Tracer):
        raise _NotElementwiseError
    return np.asarray(value, dtype).reshape(())[()]


def _result(equation: Any, elements: int, operands: list[Any]) -> Any:
    """The result of an op for one block."""
    name, variable = equation.primitive.name, equation.outvars[0]
    if name in (READ, WRITE):
        return _row(equation, operands)
    size = math.prod(variable.aval.shape)
    block = (BLOCK,) if size == elements > 1 else ()
    is_known = name in RULES or name in SAME or name in ELEMENTWISE
    is_block = not any(isinstance(one, _Rows) or np.shape(one) not in ((), block) for one in operands)
    is_typed = variable.aval.dtype.name in DTYPES and (name not in FLOATS or _is_float(variable))
    if not (is_known and is_block and is_typed) or size not in (1, elements):
        raise _NotElementwiseError
    operands = [one if np.shape(one) == block else lax.broadcast(one, block) for one in operands]
    if name in SAME:
        return operands[0]
    return RULES[name](equation, *operands) if name in RULES else equation.primitive.bind(*operands, **equation.params)


def _is_float(variable: Any) -> bool:
    return bool(jnp.issubdtype(variable.aval.dtype, jnp.floating))


def _row(equation: Any, operands: list[Any]) -> Any:
    """The row that an op reads along the first axis, or the rows after it wrote one."""
    rows, shape = operands[0], equation.invars[0].aval.shape
    start, *others = operands[len(operands) - len(shape) :]
    is_read = equation.primitive.name == READ
    window = (equation.outvars[0] if is_read else equation.invars[1]).aval.shape
    is_whole = window == (1, *shape[1:]) and all(isinstance(index, np.generic) and index == 0 for index in others)
    if not isinstance(rows, _Rows) or not is_whole:
        raise _NotElementwiseError
    one = (1, *rows.array.shape[1:])
    starts = (start, *[start.dtype.type(0)] * (rows.array.ndim - 1))
    if is_read:
        return lax.squeeze(equation.primitive.bind(rows.array, *starts, slice_sizes=one), (0,))
    return _Rows(equation.primitive.bind(rows.array, lax.reshape(operands[1], one), *starts))


def _kernel(loop: _Loop, equation: Any, interpret: bool) -> Callable[..., list[Any]]:
    """A function of a loop's inputs that gives its results, by a kernel."""
    first, after = loop.tests + loop.consts, loop.tests + loop.consts + loop.carried
    indexed = {loop.tests + position for position in loop.indexed}
    states = [position for position in range(first, after) if position not in indexed]

    def described(variable: Any, block: Any, lead: int, has_rows: bool) -> _Array:
        return _Array(variable.aval.shape, variable.aval.dtype, has_rows, bool(block.aval.shape[lead:]))

    inner = [*(loop.condition.invars[: loop.tests] if loop.tests else ()), *loop.body.invars]
    given = [
        described(variable, block, position in indexed, position in indexed or position >= after)
        for position, (variable, block) in enumerate(zip(equation.invars, inner, strict=True))
    ]
    stacked = zip(equation.outvars[loop.carried :], loop.body.outvars[loop.carried :], strict=True)
    results = [*given[first:after], *(described(variable, block, 0, True) for variable, block in stacked)]
    types = [one.stored for one in results]
    programs = max((one.stored.shape[-1] // BLOCK for one in (*given, *results) if one.is_split), default=1)

    def kernel(columns: Any, *refs: Any) -> None:
        arrays = zip(refs, [*given, *results], strict=True)
        places = [_Place(ref, columns if one.is_split else None, one.dtype) for ref, one in arrays]
        inputs, outputs = places[: len(given)], places[len(given) :]
        fixed = [place if position in indexed else place.load() for position, place in enumerate(inputs[:first])]
        carry = tuple(inputs[position].load() for position in states)
        if loop.condition is None:
            carry = _scanned(loop, fixed, carry, inputs[after:], outputs[loop.carried :])
        else:
            for position in indexed.intersection(range(first, after)):
                _copied(inputs[position], outputs[position - first])
            carry = _repeated(loop, fixed, carry, [position - first for position in states], outputs)
        for position, value in zip(states, carry, strict=True):
            outputs[position - first].store(value)

    def run(*arrays: Any) -> list[Any]:
        stored = [one.to_memory(array) for one, array in zip(given, arrays, strict=True)]
        found = _launched(kernel, types, programs, interpret)(*stored)
        return [one.from_memory(array) for one, array in zip(results, found, strict=True)]

    return run


def _repeated(loop: _Loop, fixed: list[Any], carry: Any, states: list[int], outputs: list[Any]) -> Any:
    """The carry, of values at ``states``, after the steps of a ``while``, which writes rows of the other outputs."""

    def everything(carry: Any) -> list[Any]:
        values = dict(zip(states, carry, strict=True))
        return [values.get(position, place) for position, place in enumerate(outputs)]

    def go_on(carry: Any) -> Any:
        return _computed(loop.condition, [*fixed[: loop.tests], *everything(carry)])[0]

    def step(carry: Any) -> Any:
        found = _computed(loop.body, [*fixed[loop.tests :], *everything(carry)])
        return tuple(found[position] for position in states)

    return lax.while_loop(go_on, step, carry)


def _scanned(loop: _Loop, fixed: list[Any], carry: Any, rows: list[Any], stacks: list[Any]) -> Any:
    """The carry after all steps, several at a time, which read the rows of those after them before they begin."""
    most = min(STEPS, OPS // max(len(loop.body.eqns), 1), ROWS // max(len(rows), 1), loop.length)
    count = np.int32(max(most, 1))
    whole, rest = map(np.int32, divmod(loop.length, count))

    def at(step: Any) -> Any:
        return np.int32(loop.length - 1) - step if loop.reverse else step

    def read(first: Any, count: Any) -> Any:
        return [[place.load(at(first + np.int32(step))) for place in rows] for step in range(count)]

    def run(first: Any, carry: Any, slices: Any) -> Any:
        for step, row in enumerate(slices):
            found = _computed(loop.body, [*fixed, *carry, *row])
            carry = tuple(found[: loop.carried])
            for place, value in zip(stacks, found[loop.carried :], strict=True):
                place.store(value, at(first + np.int32(step)))
        return carry

    def steps(i: Any, state: Any) -> Any:
        ahead = read(i * count + count, count)
        return run(i * count, *state), ahead

    def last(i: Any, carry: Any) -> Any:
        return run(whole * count + i, carry, read(whole * count + i, 1))

    start = np.int32(0)
    carry, _ = lax.fori_loop(start, whole, steps, (carry, read(start, count)))
    return lax.fori_loop(start, rest, last, carry) if rest else carry


def _copied(source: _Place, target: _Place) -> None:
    """Writes the rows of one array to another, the last ones more than once where they are no whole iteration."""

    def copy(i: Any, _: Any) -> Any:
        rows = [i * np.int32(STEPS) + np.int32(step) for step in range(STEPS)]
        for row, value in zip(rows, [source.load(row) for row in rows], strict=True):
            target.store(value, row)
        return ()

    lax.fori_loop(np.int32(0), np.int32(-(-source.ref.shape[0] // STEPS)), copy, ())


def _computed(program: Any, given: Sequence[Any]) -> list[Any]:
    """The results of a program at the shapes of one block, for places in memory and values."""
    values = dict(zip(program.invars, given, strict=True))
    for equation in program.eqns:
        operands = [_value(variable, values) for variable in equation.invars]
        name = equation.primitive.name
        if isinstance(place := operands[0], _Place):
            row = operands[1 if name == READ else 2]
            result = place.load(row) if name == READ else place
            if name == WRITE:
                place.store(operands[1], row)
        elif name in ("reshape", "squeeze"):  # of a row
            result = operands[0]
        else:
            result = equation.primitive.bind(*operands, **equation.params)
        values[equation.outvars[0]] = result
    return [_value(variable, values) for variable in program.outvars]


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
