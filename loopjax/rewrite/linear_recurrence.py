"""Linear recurrences by parallel scan.

A state that is a linear function of the one before it, ``h' = a * h + b`` with ``a`` and ``b`` free of ``h``, needs no
loop: two such steps are one, ``(a2 * a1, a2 * b1 + b2)``, so that all states follow from an associative scan over the
pairs, in about ``2 log2 n`` steps for ``n`` (Blelloch 1990, "Prefix sums and their applications", section 1.4). The
same holds for ``max`` and ``+`` in the place of ``+`` and ``*``, and for every other semiring (``semirings.py``).

The pass finds the coefficients by an affine analysis of the body (``affine.py``), which is blind to how the body is
written, and stores them as regions of the loop:

    before   scan(x):  h' = h * 0.5 + x - h        after   the same loop, linear = (0.5 - 1, x) by "add and mul"

``plan`` then lowers the loop as ``associative``. Several states are linear where each reads only those found before it.

Not on a CPU, where a parallel scan computes the same values with more work (1e6 sums of integers 5.9 against 3.8 ms;
65,536 steps of 16 values 6 against 1.1 ms). Floats only where the mode may reassociate: a parallel scan rounds in
another order.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

from loopjax.ir.graph import Apply, Graph, Variable, copy_node, dependents
from loopjax.ir.scan import LinearRecurrence, Scan
from loopjax.ir.types import TensorType
from loopjax.rewrite.affine import Arithmetic, Elementwise, Matrix, walk
from loopjax.rewrite.cost_model import cost, size_bytes
from loopjax.rewrite.driver import Context, Pass, Replacement
from loopjax.rewrite.semirings import SEMIRINGS
from loopjax.rewrite.trip_counts import holds_varying_loop, is_forward_only, may_speculate


@dataclass(frozen=True)
class FindLinearRecurrences(Pass):
    """Marks loops all of whose recurrences are linear, where a parallel scan of them is profitable.

    Attributes
    ----------
    least_steps
        Steps from which a parallel scan, of a few kernels for each doubling of the steps, should beat a loop on a GPU:
        at 8 us for each step, as they took before several were one iteration.
    most_bytes
        Bytes that all steps touch, and bytes of all their matrices, at most.
    most_units
        Rows of a square matrix up to which a product of two costs no more than a step of a loop on a GPU: about 8 us,
        where each is an iteration.
    """

    least_steps: int = 32
    most_bytes: int = 2**28
    most_units: int = 64

    def rewrite_scan(self, node: Apply, op: Scan, inputs: tuple[Variable, ...], context: Context) -> Replacement:
        found = self._profitable(op, context)
        return None if found is None else copy_node(node, inputs, replace(op, linear=found)).outputs

    def _profitable(self, op: Scan, context: Context) -> tuple[LinearRecurrence, ...] | None:
        """The recurrences of a loop as linear ones; ``None`` where they are to run step by step."""
        n_steps = op.n_steps or 0
        if self.target.on_cpu or n_steps < self.least_steps or not self._is_supported(op, context):
            return None
        if n_steps * cost(op.body).bytes > self.most_bytes:
            return None
        found = self._recurrences(op, context)
        if found is None or n_steps * sum(map(_matrix_bytes, found)) > self.most_bytes:
            return None
        # The last of them is a reduction where nothing but its final value is read.
        *before, last = found
        saved = op.recurrences[last.recurrence].saved.last
        is_read = bool(op.maps) or any(one.output == last.recurrence for one in op.accumulators)
        return (*before, last._replace(last=saved in (0, 1) and not is_read and bool(last.plus)))

    def _is_supported(self, op: Scan, context: Context) -> bool:
        """True where nothing but its recurrences keeps a loop from running all steps at once."""
        asks = op.checkpoint or op.progress or op.unroll or (context.differentiated and op.truncate_gradient > 0)
        if not op.recurrences or op.n_states or op.until or asks or holds_varying_loop(op):
            return False
        if any(output.saved.every > 1 or output.saved.steps is not None for output in op.outputs):
            return False
        if any(one.monoid is not None and one.monoid.reduce is None for one in op.accumulators):
            return False
        if not op.dynamic:
            return True
        # All steps up to the bound are computed, and rows past the trip count are masked in whole stacks only.
        whole = not op.accumulators and not op.go_backwards and all(output.saved.all for output in op.outputs)
        return whole and is_forward_only(op, context.derivative) and may_speculate(op, self.target)

    def _recurrences(self, op: Scan, context: Context) -> tuple[LinearRecurrence, ...] | None:
        """All recurrences as linear ones, each after those that it reads; ``None`` where one is not linear."""
        if any(one.taps != (-1,) for one in op.recurrences):
            return None
        pasts = [group[0] for group in op.body_inputs(op.body.inputs).taps]
        left = list(range(len(pasts)))
        found: list[LinearRecurrence] = []
        while left:
            unknown = {pasts[position] for position in left}
            ready = [one for position in left if (one := self._linear(op, position, unknown, context)) is not None]
            if not ready:
                return None
            found.extend(ready)
            left = [position for position in left if position not in {one.recurrence for one in ready}]
        return tuple(found)

    def _linear(self, op: Scan, position: int, unknown: set[Variable], context: Context) -> LinearRecurrence | None:
        """A recurrence as a linear one; ``None`` where it is not linear or reads other pasts that are ``unknown``."""
        (past,) = op.body_inputs(op.body.inputs).taps[position]
        value = op.results(op.body.outputs).recurrences[position]
        graph = Graph(op.body.inputs, [value])
        if value in dependents(graph.applies, unknown - {past}) or past.type != value.type:
            return None
        if value not in dependents(graph.applies, [past]):
            return LinearRecurrence(position, "", "", graph, has_factor=False, has_term=True)
        for plus, times, arithmetic in self._arithmetics(past.type, context):
            if (form := walk(graph, past, arithmetic)) is not None:
                region = Graph(op.body.inputs, [one for one in form if one is not None])
                has_factor, has_term = form.factor is not None, form.term is not None
                return LinearRecurrence(position, plus, times, region, has_factor, has_term) if region.outputs else None
        return None

    def _arithmetics(self, type: TensorType, context: Context) -> Iterator[tuple[str, str, Arithmetic]]:
        """The arithmetics in which a state of this type may be linear, as ``plus``, ``times`` and their rules.

        Where rounding must not change, integers, logic and extremes are left; the latter unless they are
        differentiated: among equal values, the order decides which one gets the gradient.
        """
        reassociate = self.target.reassociate
        for ring in SEMIRINGS:
            is_exact = not type.is_float or (ring.is_exact and not context.differentiated)
            if ring.takes(type.dtype) and (reassociate or (is_exact and not ring.overflows)):
                yield ring.plus, ring.times, Elementwise(type, ring)
        if type.dtype != "bool" and (reassociate or not type.is_float):
            sides: tuple[tuple[Literal["left", "right"], int], ...] = (("right", -1), ("left", 0))
            for side, axis in sides:
                if type.ndim in (1, 2) and 0 < type.sizes[axis] <= self.most_units:
                    yield "add", side, Matrix(type, SEMIRINGS[0], side, type.sizes[axis])


def _matrix_bytes(one: LinearRecurrence) -> int:
    """Bytes of the matrix of each step, where there is one."""
    return size_bytes([one.coefficients.outputs[0].type]) if one.times in ("left", "right") else 0
