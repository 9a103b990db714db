"""Ops with a singularity: infinite values or derivatives at some finite operand, such as ``log`` at 0."""

from __future__ import annotations

from loopjax.ir.graph import Op

SINGULAR: dict[str, tuple[int, float]] = {
    **dict.fromkeys(("log", "log2", "log10", "sqrt", "reciprocal", "integer_pow", "power"), (0, 1.0)),
    **dict.fromkeys(("gamma", "gammaln", "psi", "hypot", "norm"), (0, 1.0)),
    **dict.fromkeys(("true_div", "mod", "arctan2"), (1, 1.0)),
    **dict.fromkeys(("exp", "exp2", "expm1", "sinh", "cosh", "i0", "i1"), (0, 0.0)),
    **dict.fromkeys(("log1p", "arcsin", "arccos", "arctanh", "erfinv"), (0, 0.0)),
    "arccosh": (0, 2.0),
    "logit": (0, 0.5),
    "log1mexp": (0, -1.0),
}
"""Functions with infinite values or derivatives: the operand that decides, and a value of it where they are finite."""


def is_singular(op: Op) -> bool:
    """Return whether an op, or a node in its regions, has a singularity: a function of `SINGULAR`, a decomposition."""
    if not op.regions:
        return op.name in SINGULAR or op.has("cubic")
    return any(region.holds(lambda node: is_singular(node.op)) for region in op.regions)
