"""From a compiled function to reports on its loops. ``explain`` imports this module when it is first called."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from loopjax.errors import where
from loopjax.ir.autodiff import Differentiated
from loopjax.ir.graph import Apply, Constant, Graph, Variable
from loopjax.ir.printing import INFIX
from loopjax.ir.scan import Accumulator, Scan
from loopjax.ir.types import KEY
from loopjax.ir.weight_gradients import BatchedWeightGradients
from loopjax.report.loops import LoopReport, Part, StepReport, at_step
from loopjax.report.report import Report
from loopjax.runtime.function import Function

if TYPE_CHECKING:
    from loopjax.shapes.padding.spec import ExactLengthOp

LONGEST = 24
"""Letters of an expression that stands for an operand without a name."""


def report_of(function: Function) -> Report:
    """The report on a function's loops, for the shapes that it was called with last."""
    stages, tuning = [], []
    for stage in function.stages:
        programs = stage.programs
        graph = programs[-1].graph if programs else stage.stage.graph
        stages.append(tuple(_loops(graph, 0, False, {})))
        tuning.append(programs[-1].tuning if programs else ())
    padding = function.bucket.padding
    room = [f"the input {_name(variable)}" for variable in padding.values]
    room += [f"axis {one.axis} of {_name(one.variable)}" for one in padding.axes]
    exact = tuple(map(_needed, function.exact_ops))
    return Report(function.name, tuple(stages), ", ".join(room), exact, tuple(tuning), tuple(_still(function)))


def _still(function: Function) -> Iterator[str]:
    """Streams that loops draw from and no update advances."""
    state = function.program.state
    for key in state.variables:
        if key.dtype == KEY and key.default_update is None and key not in state.updated:
            yield (
                f"{key.name}{where(key.sources)} is never advanced: every call draws the same numbers; pass the "
                f"updates that scan returned to function"
            )


def _name(variable: Variable) -> str:
    return repr(variable.name) if variable.name else str(variable)


def _needed(one: ExactLengthOp) -> str:
    cost = "a stage ends before it, and what follows" if one.ends_stage else "the program"
    return f"{one.op}{where(one.sources)} needs a length as it is: {cost} is compiled for each"


SAME_VALUES = (
    *("cast", "disconnected_grad", "example_lengths", "fill_rows", "mask_rows", "of_batch", "resize", "zero_grad"),
)
"""Ops with the name of their first operand: they convert or check it, or decide what its padding or derivative is."""

Names = Mapping[Variable, str]
"""Names of a region's inputs, after the variables that they stand for outside of it."""


def _loops(graph: Graph, depth: int, differentiated: bool, names: Names) -> Iterator[LoopReport]:
    for node in graph.applies:
        op = node.op
        if isinstance(op, Scan):
            yield _report(node, op, depth, differentiated, names)
            yield from _loops(op.body, depth + 1, differentiated, _body_names(node, op, names))
        elif isinstance(op, Differentiated):
            inner = {inside: _label(outside, names) for inside, outside in zip(op.primals, node.inputs, strict=False)}
            yield from _loops(op.region, depth, True, inner)
        elif isinstance(op, BatchedWeightGradients):
            known = {
                inside: _label(outside, names) for inside, outside in zip(op.region.inputs, node.inputs, strict=False)
            }
            added = dict.fromkeys(op.region.inputs[len(node.inputs) :], "gradient rows")
            yield from _loops(op.region, depth, differentiated, known | added)
        else:
            for region in op.regions:
                yield from _loops(region, depth, differentiated, names)


def _body_names(node: Apply, op: Scan, names: Names) -> Names:
    """Names of the inputs of a loop's body."""
    outer, inner = op.inputs(node.inputs), op.body_inputs(op.body.inputs)
    found: dict[Variable, str] = {}
    for x, sequence, rows in zip(outer.sequences, op.sequences, inner.slices, strict=True):
        found |= {row: f"{_label(x, names)}[{at_step(tap)}]" for row, tap in zip(rows, sequence.taps, strict=True)}
    for recurrence, pasts in zip(op.recurrences, inner.taps, strict=True):
        found |= {past: f"{recurrence.name}[{at_step(tap)}]" for past, tap in zip(pasts, recurrence.taps, strict=True)}
    for one, same in zip(outer.non_sequences, inner.non_sequences, strict=True):
        found[same] = _label(one, names)
    return found


def _label(variable: Variable, names: Names) -> str:
    """A variable's name, a short expression, or the op that computes it."""
    if variable.name or variable in names:
        return variable.name or names[variable]
    if isinstance(variable, Constant):
        return str(variable.data) if variable.ndim == 0 else "a constant"
    if variable.owner is None:
        return "an input"
    op, inputs = variable.owner.op, variable.owner.inputs
    if isinstance(op, Scan) and variable.index < len(op.outputs):
        return f"{op.label}.{op.outputs[variable.index].name}"
    if op.named(*SAME_VALUES):
        return _label(inputs[0], names)
    if op.name in INFIX and len(inputs) == 2:
        text = f" {INFIX[op.name]} ".join(_label(one, names) for one in inputs)
        return text if len(text) < LONGEST else f"{op.name}(...)"
    return f"{op.name}(...)"


def _report(node: Apply, op: Scan, depth: int, differentiated: bool, names: Names) -> LoopReport:
    from loopjax.rewrite.cost_model import size_bytes  # passes are a part of the package's import time

    stacks = [output.type for output in node.outputs[: len(op.outputs)]]
    return LoopReport(
        op.label,
        where(node.sources),
        depth,
        differentiated,
        op.n_steps,
        op.until or op.dynamic,
        tuple(_enters(node, op, names)),
        tuple(_leaves(node, op)),
        tuple(_kept(op)),
        op.notes,
        size_bytes(stacks) if all(type.concrete for type in stacks) else None,
        op.plan,
        None if op.plan is None else _step(op),
    )


def _step(op: Scan) -> StepReport:
    """The estimated cost of a step."""
    from loopjax.rewrite.cost_model import step_cost
    from loopjax.rewrite.plan import carried_bytes, step_bytes

    plan = op.plan
    assert plan is not None
    once, carried = step_cost(op), carried_bytes(op, plan.storage)
    stored = None
    if plan.derivative in ("reverse", "any") and plan.checkpoint is None and plan.kind in ("scan", "vmap", "batched"):
        stored = step_bytes(op, carried)
    return StepReport(once.flops, once.bytes, carried, stored)


def _kept(op: Scan) -> Iterator[str]:
    """The saved steps and the accumulators of each output."""
    yield from (f"{output.saved} of {output.name}" for output in op.outputs if output.saved.last != 0)
    yield from (f"{_gathered(fold)} of {op.outputs[fold.output].name}" for fold in op.accumulators)


def _gathered(fold: Accumulator) -> str:
    return f"step {fold.step}" if fold.kind == "at" else f"the {fold.kind}"


def _enters(node: Apply, op: Scan, names: Names) -> Iterator[Part]:
    """Operands of a loop."""
    outer = op.inputs(node.inputs)
    for variable, sequence in zip(outer.sequences, op.sequences, strict=True):
        role = f"a row a step{_taps(sequence.taps, (0,))}"
        yield Part(_label(variable, names), role, str(variable.type), "sequence", sequence.taps)
    for variable, one in zip(outer.initials, op.recurrences, strict=True):
        role = f"where {one.name} starts{_taps(one.taps, (-1,))}"
        yield Part(_label(variable, names), role, str(variable.type), "state", one.taps, one.name)
    for variable in outer.states:
        yield Part(_label(variable, names), "shared state", str(variable.type), "state", (-1,), _label(variable, names))
    for variable in outer.keys:
        yield Part(_label(variable, names), "random key", str(variable.type), "key")
    for variable in outer.non_sequences:
        yield Part(_label(variable, names), "the same at every step", str(variable.type), "constant")


def _taps(taps: tuple[int, ...], usual: tuple[int, ...]) -> str:
    return "" if taps == usual else f", taps {', '.join(map(str, taps))}"


def _leaves(node: Apply, op: Scan) -> Iterator[Part]:
    """Results of a loop."""
    roles = [(output.name, str(output.saved)) for output in op.outputs]
    roles += [("shared state", "after the last step")] * op.n_states
    roles += [(op.outputs[fold.output].name, _gathered(fold)) for fold in op.accumulators]
    roles += [("until", "steps that ran")] * op.until
    for (name, role), variable in zip(roles, node.outputs, strict=True):
        if 0 not in variable.type.shape:
            yield Part(name, role, str(variable.type), "result")
