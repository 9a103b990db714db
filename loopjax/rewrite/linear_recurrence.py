"""Recurrences that a parallel scan can run: each state a linear function of the one before it.

``h' = a * h + b`` with ``a`` and ``b`` free of ``h``: two such steps are one, ``a2 * a1`` and ``a2 * b1 + b2``, so that
all states follow from a scan of these pairs, in about ``2 log2 n`` steps for ``n`` (Blelloch 1990, "Prefix sums and
their applications", section 1.4). The same holds for ``max`` and ``+`` in the place of ``+`` and ``*``, and for other
pairs of which the second distributes over the first.

A body is walked from the state to its next value, keeping ``a`` and ``b`` for each value on the way, so that the way
in which it is written does not matter.
"""

from __future__ import annotations

from collections.abc import Iterable

from loopjax.ir.graph import Graph, Variable, dependents
from loopjax.ir.plan import LinearRecurrence
from loopjax.ir.scan import Recurrence, Scan
from loopjax.ir.types import TensorType
from loopjax.rewrite.affine import Affine, Elementwise, Matrix, walk
from loopjax.rewrite.semirings import SEMIRINGS

MATRIX_UNITS = 64
"""Rows of a square matrix up to which a product of two is no dearer than a step of a loop on a GPU: about 8 us, where
each is an iteration."""


def linear_parts(op: Scan, reassociate: bool, differentiated: bool) -> tuple[LinearRecurrence, ...] | None:
    """The recurrences of a sized scan as linear ones, each after those that it reads; ``None`` where one is not, or may
    not be taken in another order.

    ``reassociate``: rounding may change. Where it may not, integers, logic and extremes are left, the latter unless
    they are ``differentiated``: among equal values, the order decides which one's gradient it is.
    """
    if any(one.taps != (-1,) for one in op.recurrences):
        return None
    pasts = [group[0] for group in op.body_inputs(op.body.inputs).taps]
    values = op.results(op.body.outputs).recurrences
    left = list(range(len(op.recurrences)))
    found: list[LinearRecurrence] = []
    while left:
        ready = [
            part
            for position in left
            if (
                part := _part(
                    op.body,
                    position,
                    pasts[position],
                    values[position],
                    [pasts[other] for other in left if other != position],
                    reassociate,
                    differentiated,
                )
            )
            is not None
        ]
        if not ready:
            return None
        found.extend(ready)
        left = [position for position in left if position not in {part.recurrence for part in ready}]
    return tuple(found)


def _part(
    body: Graph,
    position: int,
    past: Variable,
    value: Variable,
    unknown: Iterable[Variable],
    reassociate: bool,
    differentiated: bool,
) -> LinearRecurrence | None:
    """How a state's next ``value`` depends on its ``past``, where it is linear and reads nothing ``unknown``."""
    graph = Graph(body.inputs, [value])
    if value in dependents(graph.applies, unknown) or past.type != value.type:
        return None
    if value not in dependents(graph.applies, [past]):
        return LinearRecurrence(position, "", "", graph, has_factor=False, has_term=True)
    for ring in SEMIRINGS:
        exact = not past.type.is_float or (ring.is_exact and not differentiated)
        if not ring.takes(past.dtype) or not (reassociate or (exact and not ring.overflows)):
            continue
        form = walk(graph, past, Elementwise(ring, past.type))
        if form is not None:
            return _linear(position, ring.plus, ring.times, body, form)
    if not past.type.is_float and past.dtype == "bool":
        return None
    if reassociate or not past.type.is_float:
        for side in ("right", "left"):
            units = _units(past.type, side)
            if units is not None and (form := walk(graph, past, Matrix(side, past.type, units))) is not None:
                return _linear(position, "add", side, body, form)
    return None


def _linear(position: int, plus: str, times: str, body: Graph, form: Affine) -> LinearRecurrence | None:
    outputs = [value for value in (form.factor, form.term) if value is not None]
    if not outputs:
        return None
    coefficients = Graph(body.inputs, outputs)
    return LinearRecurrence(position, plus, times, coefficients, form.factor is not None, form.term is not None)


def _units(type: TensorType, side: str) -> int | None:
    """The size of the square matrix that multiplies the state from this side, where it is small enough."""
    if type.ndim not in (1, 2):
        return None
    units = type.sizes[-1 if side == "right" else 0]
    return units if 0 < units <= MATRIX_UNITS else None


def names(parts: Iterable[LinearRecurrence], recurrences: tuple[Recurrence, ...]) -> str:
    """For ``explain``: what each state is."""
    return ", ".join(f"{recurrences[part.recurrence].name or 'a state'} by {kind(part)}" for part in parts)


def kind(part: LinearRecurrence) -> str:
    """What a linear recurrence is called."""
    if not part.plus:
        return "all steps at once"
    if part.times in ("left", "right"):
        return "products of matrices"
    return part.times if not part.has_term else part.plus if not part.has_factor else f"{part.plus} and {part.times}"
