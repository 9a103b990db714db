"""The interpreter: evaluates a sized graph on JAX arrays or tracers, each node by the lowering rule of its op.

One table has a rule for each class of op, and for each op of the op table that has no plain function. A rule
takes a node, its op and its input arrays to its output arrays; traced by ``jax.jit``, the interpreter is the compiler.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from loopjax.errors import UnsupportedError, coded, located, where
from loopjax.ir.graph import Apply, Constant, Graph, Op, Variable
from loopjax.ir.op import TableOp
from loopjax.ir.symbolic_sizes import needs_number, undecided
from loopjax.ir.types import KEY, RESIDUAL, jax_dtype
from loopjax.lower.placement import aligned, in_types
from loopjax.trace.promotion import operand_dtypes

Rule = Callable[[Apply, Any, Sequence[Any]], Sequence[Any]]

RULES: dict[type[Op] | str, Rule] = {}
"""The lowering rules of classes of op and, by name, of the ops of the table that have no plain function."""


def rule(key: type[Op] | str) -> Callable[[Rule], Rule]:
    """Register the lowering rule of a class of op, or by name of an op of the table; raises where there is one."""

    def add(function: Rule) -> Rule:
        if key in RULES:
            raise ValueError(f"{key!r} has a lowering rule already")
        RULES[key] = function
        return function

    return add


def evaluate(graph: Graph, inputs: Sequence[Any], calls: Rule | None = None) -> list[Any]:
    """Compute the outputs of a sized graph for these arrays or tracers.

    ``calls``, where given, runs the ops of the table in place of their rules.
    """
    values: dict[Variable, Any] = dict(zip(graph.inputs, inputs, strict=True))

    def read(variable: Variable) -> Any:
        return _data(variable) if isinstance(variable, Constant) else values[variable]

    for node in graph.applies:
        found = calls if calls is not None and isinstance(node.op, TableOp) else rule_of(node)
        try:
            outputs = found(node, node.op, [read(variable) for variable in node.inputs])
        except Exception as error:
            if type(error).__name__ == "ShardingTypeError":  # which JAX does not export
                raise _unplaced(node, error) from None
            if needs_number(error):
                raise undecided(error, node.op.subject, node.sources) from None
            raise
        values.update(zip(node.outputs, outputs, strict=True))
    return [read(variable) for variable in graph.outputs]


def _unplaced(node: Apply, error: Exception) -> UnsupportedError:
    """Return the error for an op whose result JAX cannot place on a mesh with axes of type ``Explicit``."""
    return coded(UnsupportedError, "LJ851")(
        f"{node.op.name}: {error}. JAX asks where the result lies, since the mesh has Explicit axes; expected a mesh "
        f"that XLA places values on by itself, make it by jax.make_mesh(..., axis_types=(AxisType.Auto,))"
        f"{where(node.sources)}"
    )


def _data(constant: Constant) -> Any:
    return constant.data.astype(jax_dtype("int64"), copy=False) if constant.dtype == "int64" else constant.data


def rule_of(node: Apply) -> Rule:
    """Return the lowering rule of a node; raises ``NotImplementedError`` where there is none."""
    found = next((RULES[kind] for kind in type(node.op).__mro__ if kind in RULES), None)
    if found is None:
        raise NotImplementedError(f"op {node.op.name!r} has no lowering rule{where(node.sources)}")
    return found


@rule(TableOp)
def _call(node: Apply, op: TableOp, args: Sequence[Any]) -> Sequence[Any]:
    row = op.definition
    if row.run is None:
        own = RULES.get(op.name)
        if own is None:
            raise NotImplementedError(f"op {op.name!r} has neither a function nor a lowering rule{where(node.sources)}")
        return own(node, op, args)
    return run_row(node, op, args, runner(op))


def runner(op: TableOp) -> Callable[..., Any]:
    """Return the function of an op of the table, with its parameters; dtypes are those that JAX has."""
    assert op.definition.run is not None
    params = {key: jax_dtype(str(value)) if key == "dtype" else value for key, value in op.params}
    return partial(op.definition.run, **params) if params else op.definition.run


def run_row(node: Apply, op: TableOp, args: Sequence[Any], run: Callable[..., Any]) -> Sequence[Any]:
    """Run an op of the table by its function ``run``, on arrays cast to the dtypes that it wants."""
    dtypes = operand_dtypes(op.definition.operands, [variable.type for variable in node.inputs])
    cast: Sequence[Any] = [_cast(value, dtype) for value, dtype in zip(args, dtypes, strict=True)]
    if in_types() and (op.has("pointwise") or op.named("join", "put_window")):
        cast = aligned([as_array(value) for value in cast])
    try:
        result = run(*cast)
    except (TypeError, ValueError, IndexError, NotImplementedError) as error:
        raise located(error, f"{op.name}: {error}", node.sources) from None
    return result if isinstance(result, tuple) else (result,)


def _cast(value: Any, dtype: str) -> Any:
    return value if dtype in (KEY, RESIDUAL) or value.dtype == dtype else value.astype(jax_dtype(dtype))


def as_array(value: Any) -> Any:
    """Return a JAX array or tracer for a value of a graph, which may be a constant's NumPy array."""
    return value if isinstance(value, jax.Array) else jnp.asarray(value)
