"""The types of a loop's states: each step returns the type that the state starts with.

An initial value that is a Python number takes the dtype that ``fn`` returns, as a weakly typed carry does in
``jax.lax.scan``. The body was recorded with the number's own dtype, so its nodes are then inferred again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from loopjax.config import config
from loopjax.errors import coded, where
from loopjax.ir.graph import Apply, Constant, Graph, Variable, copy_node
from loopjax.ir.op import TableOp, table_op
from loopjax.ir.public_ops import ops
from loopjax.ir.scan import Scan
from loopjax.ir.types import TensorType
from loopjax.trace.promotion import exactly, fold_weak, is_as_wide, settle_weak, unfolded
from loopjax.trace.scan_arguments import InitialArgument


def settle_states(
    body: Graph, n_slices: int, states: Sequence[InitialArgument], label: str
) -> tuple[Graph, list[Variable]]:
    """Return the body and the initial values with equal types; raise ``TypeError`` that lists every mismatch.

    The body's first ``n_slices`` inputs are slices of sequences, the next ones past values of the states; its first
    outputs are the states' next values.
    """
    replaced: dict[Variable, Variable] = {}
    initials: list[Variable] = []
    inputs = iter(body.inputs[n_slices:])
    for state, output in zip(states, body.outputs, strict=False):
        pasts = [next(inputs) for _ in state.taps]
        start, dtype = state.variable, output.dtype
        if start.type.weak and is_as_wide(dtype, start.dtype):
            if isinstance(start, Constant):
                start = Constant(exactly(start, dtype), start.name)
            else:
                start = ops.cast(start, dtype)
            replaced.update({past: Variable(TensorType(dtype, past.type.shape), name=past.name) for past in pasts})
        initials.append(start)
    if replaced:
        body = body.rebuilt(replaced, _repromoted)
    outputs = list(body.outputs)
    problems: list[str] = []
    inputs = iter(body.inputs[n_slices:])
    for position, (state, variable) in enumerate(zip(states, initials, strict=True)):
        *_, past = (next(inputs) for _ in state.taps)
        step = variable.type.row() if state.windowed else variable.type
        outputs[position] = output = settle_weak(outputs[position], step.dtype)
        if not step.accepts(output.type):
            problems.append(_state_mismatch(state, past, step, output))
    if problems:
        raise coded(TypeError, "LJ105")(f"scan {label!r}: " + "; ".join(problems))
    return Graph(body.inputs, outputs), initials


def _state_mismatch(state: InitialArgument, past: Variable, step: TensorType, output: Variable) -> str:
    advice = (
        f"Cast the result with .astype({step.dtype!r}) or start from {output.type.dtype}"
        if step.dtype != output.type.dtype
        else "Start from a value of the shape that a step returns"
    )
    name = repr(state.name)
    if not str(past.name).startswith(state.name):
        name = f"{past.name!r} ({state.name})"  # the parameter of fn
    return f"state {name} starts as {step} but a step returns {output.type}. {advice}.{where(output.sources)}"


def _repromoted(node: Apply, inputs: tuple[Variable, ...]) -> Sequence[Variable] | None:
    """Return a node on inputs of other dtypes, which its Python numbers take, also in the bodies of inner loops."""
    if inputs == node.inputs:
        return None
    if isinstance(node.op, Scan):
        return copy_node(node, inputs, _with_inputs_of(node.op, inputs)).outputs
    if not isinstance(node.op, TableOp):
        return None
    op = _with_dtype_of(node.op, node.inputs[0].type, inputs[0].type) if inputs else node.op
    numbers = [unfolded(variable) for variable in inputs]
    return copy_node(node, fold_weak(op.definition.operands, numbers), op).outputs


def _with_dtype_of(op: TableOp, old: TensorType, new: TensorType) -> TableOp:
    """Return a reduction with the dtype that follows from its input's; a cast keeps the dtype that the user wrote."""
    dtype = op.arguments.get("dtype")
    followed = dtype == old.dtype or (dtype == config.floatX and not old.is_float and new.is_float)
    if op.name == "cast" or not followed:
        return op
    return table_op(op.name, **{**op.arguments, "dtype": new.dtype})


def _with_inputs_of(op: Scan, inputs: Sequence[Variable]) -> Scan:
    """Return an inner loop for inputs of other dtypes; raise ``TypeError`` where its states then change theirs."""
    typed = zip(op.body.inputs, op.body_types([variable.type for variable in inputs]), strict=True)
    fresh = {old: Variable(type, name=old.name) for old, type in typed if old.dtype != type.dtype or old.type.weak}
    body = op.body.rebuilt(fresh, _repromoted)
    starts = op.body_inputs([variable.type for variable in body.inputs]).taps
    for recurrence, taps, value in zip(op.recurrences, starts, op.results(body.outputs).recurrences, strict=True):
        if taps[0].dtype != value.dtype:
            raise coded(TypeError, "LJ105")(
                f"scan {op.label!r}: state {recurrence.name!r} starts as {taps[0]} but a step returns {value.type}, "
                f"now that a number takes the dtype of its loop's results. Cast the result with "
                f".astype({taps[0].dtype!r}){where(value.sources)}"
            )
    return replace(op, body=body)
