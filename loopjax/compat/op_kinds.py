"""Classes of the peers' ops by which programs ask about a graph: ``isinstance(node.op, Softmax)``.

An op of LoopJAX counts as one of a class where it does the same work. ``MatrixInverse()`` and a few others make a
function that records this work; the rest make nothing and say so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from loopjax.compat.stubs import Unavailable
from loopjax.ir.op import TableOp
from loopjax.ir.scan import Scan
from loopjax.ir.traits import Trait

_NAMES = """
Softmax: softmax
LogSoftmax: log_softmax
DimShuffle: dimshuffle transpose swapaxes squeeze expand_dims
Reshape: reshape flatten
Alloc: alloc full
Join: join
Dot: dot matmul
BatchedDot: batched_dot
Sum: sum
Prod: prod
Max: max
MaxAndArgmax: max argmax
Argmax: argmax
Subtensor: index
AdvancedSubtensor: index
AdvancedSubtensor1: index
IncSubtensor: set inc
AdvancedIncSubtensor: set inc
AdvancedIncSubtensor1: set inc
Shape: shape
Shape_i: dim
"""

_MADE = """
Softmax: softmax
LogSoftmax: log_softmax
MatrixInverse: matrix_inverse
MatrixPinv: pinv
Det: det
Cholesky: cholesky
Eig: eig
Eigh: eigh
SVD: svd
ExtractDiag: extract_diag
Expm: expm
Dot: dot
"""

_TRAITS: dict[str, Trait] = {"Elemwise": "pointwise", "CAReduce": "reduce", "RandomVariable": "draw"}


class _Kind(type):
    """The type of the classes: an op is an instance where it has one of the names, or the trait."""

    def __call__(cls, *args: Any, **options: Any) -> Any:
        made = vars(cls).get("made")
        return super().__call__(*args, **options) if made is None else partial(made, *args, **options)

    def __instancecheck__(cls, op: object) -> bool:
        if cls.__name__ == "Scan":
            return isinstance(op, Scan)
        if not isinstance(op, TableOp) or "ops" not in vars(cls):
            return super().__instancecheck__(op)
        trait = _TRAITS.get(cls.__name__)
        return op.has(trait) if trait is not None else op.named(*vars(cls)["ops"])


def kinds(functions: Mapping[str, Any], recording: Callable[[Any], Any], elemwise: type) -> dict[str, Any]:
    """Return the classes by name; ``functions`` record the work of ops, within ``recording``. ``elemwise``
    is the base of ``Elemwise``."""
    named, made = _pairs(_NAMES), _pairs(_MADE)
    found: dict[str, Any] = {}
    for name in (*named, *made, *_TRAITS, "Scan"):
        make = staticmethod(recording(functions[made[name]])) if name in made else None
        base = elemwise if name == "Elemwise" else Unavailable
        found[name] = _Kind(name, (base,), {"ops": tuple(named.get(name, "").split()), "made": make})
    return found


def _pairs(lines: str) -> dict[str, str]:
    return dict(line.split(": ") for line in lines.strip().splitlines())
