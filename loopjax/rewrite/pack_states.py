"""Packing of scalars: many states are one vector in the carry, many parameters one vector whose gradient is summed.

A cascade of filters has two scalars for each section::

    scan(lambda x_t, a, b, c, ...: (f(a, b, x_t), g(b, c), ...))
    ->
    scan(lambda x_t, s: stack(f(s[0], s[1], x_t), g(s[1], s[2]), ...))

XLA on CPU compiles a loop into one function where an iteration reads and writes few bytes; a carry of many scalars
exceeds that, and each is then copied and computed by a kernel of its own. Measured for loops of 3,000 steps on one core
(jax 0.10.2, float64), times as fast as separate states, in values and gradients, for a chain of products, a chain of
``tanh``, and a shift register:

| states | 4 | 6 | 8 | 12 | 16 | 24 |
|---|---|---|---|---|---|---|
| products | 0.86, 0.9 | 0.8, 19 | 1.0, 2.1 | 1.3, 1.5 | 1.3, 1.6 | 1.5, 1.5 |
| ``tanh`` | 0.82, 0.94 | 0.8, 1.5 | 0.92, 1.9 | 1.2, 1.4 | 1.2, 1.8 | 1.3, 1.4 |
| shift register | 0.9, 0.8 | 0.93, 0.97 | 0.98, 0.9 | 1.0, 0.8 | 1.0, 15 | 10, 6 |

A cascade of four second-order sections, 20,000 steps, takes 0.5 ms instead of 18.

Scalars that are the same at every step are packed under reverse mode: the backward loop sums the gradient of each in a
kernel of its own, but those of a vector in one. Measured for gradients of 3,000 to 5,000 steps, ms packed and not:
exponential smoothing with a season 0.13 and 2.3 (multiplicative 0.16 and 2.5), a filter of three second-order sections
0.46 and 5, a lattice of 8 stages 0.4 and 7.3, a second-order NARX model 0.25 and 4.2, EGARCH 0.32 and 2.5. Of 2 or 3
scalars, up to 1.1 times as long packed.

A ``function`` has its loops outlined (``lower/small_loops.py``), however many bytes an iteration touches: packed, they
take 1.0 to 1.05 times as long, so that only what ``to_jax`` gives is packed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from loopjax.ir.graph import Apply, Constant, Variable, copy_node, toposort
from loopjax.ir.index import static_read
from loopjax.ir.public_ops import ops
from loopjax.ir.scan import Recurrence, SavedSteps, Scan
from loopjax.ir.types import TensorType
from loopjax.rewrite.driver import Context, Pass, Replacement
from loopjax.rewrite.scan_builder import Capture, RecurrenceSlot, ScanBuilder, scan_builder

Slot = TypeVar("Slot", RecurrenceSlot, Capture)
"""A part of a loop that is packed."""


@dataclass(frozen=True)
class PackStates(Pass):
    """Packs the scalar states of a loop that have one dtype, and its scalar non-sequences, on a CPU where it is not
    outlined.

    Attributes
    ----------
    least_states, least_stored
        States from which they are packed, and those under reverse mode, where a gradient carries as many again.
    least_fixed
        Non-sequences from which they are, under reverse mode.
    """

    least_states: int = 8
    least_stored: int = 6
    least_fixed: int = 4

    def rewrite_scan(self, node: Apply, op: Scan, inputs: tuple[Variable, ...], context: Context) -> Replacement:
        if not self.target.on_cpu or self.target.outlines or op.is_map or op.linear:
            return None
        loop = scan_builder(node, inputs)
        if context.reversed:
            for fixed in _by_dtype((one, one.inner) for one in loop.non_sequences):
                if len(fixed) >= self.least_fixed:
                    _pack_fixed(loop, fixed)
        least = self.least_stored if context.reversed else self.least_states
        plain = [state for state in loop.recurrences if state.spec.taps == (-1,)]
        groups = [group for group in _by_dtype((one, one.value) for one in plain) if len(group) >= least]
        if not groups and not loop.notes:
            return None
        packed = [_pack(loop, group) for group in groups]
        found = loop.replacements(loop.build())
        for group, stack in zip(groups, packed, strict=True):
            last = ops.dimshuffle(found[stack], 1, 0)
            for row, state in enumerate(group):
                if state.stack is not None:
                    found.setdefault(state.stack, last[row])
        return [found.get(old, old) for old in node.outputs]


def _by_dtype(slots: Iterable[tuple[Slot, Variable]]) -> list[list[Slot]]:
    """Return the slots of scalars of each dtype."""
    found: dict[str, list[Slot]] = {"float32": [], "float64": []}
    for slot, value in slots:
        if value.ndim == 0 and not value.type.weak and value.dtype in found:
            found[value.dtype].append(slot)
    return list(found.values())


def _pack_fixed(loop: ScanBuilder, group: Sequence[Capture]) -> None:
    """Replace scalar non-sequences by one vector; a step computes those that are cheap functions of the others."""
    outers = [one.outer for one in group]
    derived = [outer for outer in outers if _is_derived(outer, outers)]
    packed = [outer for outer in dict.fromkeys(outers) if outer not in derived]
    vector = loop.capture(ops.stack(*packed))
    inside = {outer: static_read(vector, row) for row, outer in enumerate(packed)}
    for node in toposort(derived, stop=packed):
        copy = copy_node(node, [inside.get(variable, variable) for variable in node.inputs])
        inside.update(zip(node.outputs, copy.outputs, strict=True))
    loop.substitute({one.inner: inside[one.outer] for one in group})
    loop.drop_unread()
    loop.notes.append(f"pack_states: {len(packed)} scalars that are the same at every step are one vector")


def _is_derived(value: Variable, others: Sequence[Variable]) -> bool:
    """Return whether a value is a cheap function of others."""
    node = value.owner
    if node is None or not node.op.has("cheap"):
        return False
    read = [variable for variable in node.inputs if not isinstance(variable, Constant)]
    return bool(read) and all(variable in others for variable in read)


def _pack(loop: ScanBuilder, group: Sequence[RecurrenceSlot]) -> Variable:
    """Replace states by one vector of them, and return its last value; those that save more become outputs."""
    packed = Variable(TensorType(group[0].value.dtype, (len(group),)), name="states")
    last = Variable(packed.type.stacked(1))
    firsts = [state.before_first() for state in group]
    spec = Recurrence((-1,), SavedSteps(last=1), "states", windowed=False)
    slot = RecurrenceSlot(spec, ops.stack(*firsts), [packed], ops.stack(*(state.value for state in group)), last)
    for state in group:
        if state.spec.saved.last not in (0, 1) or state in loop.accumulated:
            loop.make_output(state, state.value)
        else:
            loop.recurrences.remove(state)
    loop.recurrences.append(slot)
    loop.substitute({state.pasts[0]: static_read(packed, row) for row, state in enumerate(group)})
    loop.notes.append(f"pack_states: {len(group)} scalar states are one vector")
    return last
