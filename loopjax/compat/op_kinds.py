"""Classes of the peers' ops by which programs ask about a graph: ``isinstance(node.op, Softmax)``.

They have no instances. An op of LoopJAX counts as one of a class where it does the same work; a program that makes such
an op itself is told that it cannot.
"""

from __future__ import annotations

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

_TRAITS: dict[str, Trait] = {"Elemwise": "pointwise", "CAReduce": "reduce", "RandomVariable": "draw"}


class _Kind(type):
    """The type of the classes: an op is an instance where it has one of the names, or the trait."""

    def __instancecheck__(cls, op: object) -> bool:
        if cls.__name__ == "Scan":
            return isinstance(op, Scan)
        if not isinstance(op, TableOp):
            return False
        trait = _TRAITS.get(cls.__name__)
        return op.has(trait) if trait is not None else op.named(*vars(cls)["ops"])


def kinds() -> dict[str, Any]:
    """Return the classes by name."""
    named = dict(line.split(": ") for line in _NAMES.strip().splitlines())
    ops = {**{name: ops.split() for name, ops in named.items()}, **dict.fromkeys((*_TRAITS, "Scan"), ())}
    return {name: _Kind(name, (Unavailable,), {"ops": tuple(names)}) for name, names in ops.items()}
