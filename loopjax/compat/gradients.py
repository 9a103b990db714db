"""Derivatives with the peers' spellings of their options."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from loopjax import tensor
from loopjax.compat import custom_ops
from loopjax.ir.graph import Variable
from loopjax.testing.verify_grad import verify_grad as core_verify
from loopjax.trace import jacobian as core
from loopjax.trace.grad import grad as core_grad

grad_undefined = custom_ops.grad_undefined
grad_not_implemented = custom_ops.grad_not_implemented


def grad(
    cost: Any,
    wrt: Any,
    consider_constant: Any = None,
    disconnected_inputs: Any = "raise",
    add_names: bool = True,
    known_grads: Any = None,
    return_disconnected: Any = "zero",
    null_gradients: str = "raise",
    **options: Any,
) -> Any:
    """Return the gradient of a scalar; see ``loopjax.grad``."""
    several = isinstance(wrt, (list, tuple))
    found: Any = core_grad(
        cost,
        list(wrt) if several else wrt,
        [consider_constant] if isinstance(consider_constant, Variable) else consider_constant,
        disconnected_inputs,
        dict(known_grads.items() if isinstance(known_grads, Mapping) else known_grads) if known_grads else None,
        str(return_disconnected).lower(),  # type: ignore[arg-type]
    )
    if add_names and isinstance(cost, Variable) and cost.name:
        for one, slope in zip(wrt if several else [wrt], found if several else [found], strict=True):
            if one.name and slope is not None and slope.name is None:
                slope.name = f"(d{cost.name}/d{one.name})"
    return type(wrt)(found) if isinstance(wrt, tuple) else found


def jacobian(
    expression: Any, wrt: Any, consider_constant: Any = None, disconnected_inputs: Any = "raise", **options: Any
) -> Any:
    """Return the Jacobian of a vector; see ``loopjax.jacobian``."""
    return core.jacobian(expression, wrt, consider_constant, disconnected_inputs)


def hessian(
    cost: Any, wrt: Any, consider_constant: Any = None, disconnected_inputs: Any = "raise", **options: Any
) -> Any:
    """Return the Hessian of a scalar; see ``loopjax.hessian``."""
    return core.hessian(cost, wrt, consider_constant, disconnected_inputs)


def hessian_vector_product(cost: Any, wrt: Any, p: Any, **options: Any) -> Any:
    """Return the Hessian times a vector, for each ``wrt``."""
    slopes = grad(cost, wrt)
    if isinstance(wrt, (list, tuple)):
        return [core.Rop(slope, list(wrt), list(p)) for slope in slopes]
    return core.Rop(slopes, wrt, p)


def pushforward(f: Any, wrt: Any, eval_points: Any, **options: Any) -> Any:
    """Return the derivative in a direction, as ``Rop``."""
    return Rop(f, wrt, eval_points)


def pullback(f: Any, wrt: Any, eval_points: Any, **options: Any) -> Any:
    """Return a vector times the Jacobian, as ``Lop``."""
    return Lop(f, wrt, eval_points)


def Rop(f: Any, wrt: Any, eval_points: Any, disconnected_outputs: Any = "raise", **options: Any) -> Any:  # noqa: N802
    """Return the Jacobian times a vector; see ``loopjax.Rop``."""
    return core.Rop(f, wrt, eval_points)


def Lop(  # noqa: N802
    f: Any,
    wrt: Any,
    eval_points: Any,
    consider_constant: Any = None,
    disconnected_inputs: Any = "raise",
    **options: Any,
) -> Any:
    """Return a vector times the Jacobian; see ``loopjax.Lop``."""
    return core.Lop(f, wrt, eval_points, consider_constant, disconnected_inputs)


def subgraph_grad(
    wrt: Sequence[Variable], end: Sequence[Variable], start: Any = None, cost: Any = None, details: bool = False
) -> Any:
    """Return gradients with respect to ``wrt`` and ``end``, from known gradients ``start`` and a cost."""
    known = None if start is None else dict(start)
    slopes = grad(cost, [*wrt, *end], known_grads=known, disconnected_inputs="ignore", consider_constant=None)
    return slopes[: len(wrt)], slopes[len(wrt) :]


def consider_constant(x: Any) -> Variable:
    """Return ``x`` with nothing flowing back through it."""
    return tensor.consider_constant(x)


def disconnected_grad(x: Any) -> Variable:
    """Return ``x`` with nothing flowing back through it."""
    return tensor.disconnected_grad(x)


def zero_grad(x: Any) -> Variable:
    """Return ``x`` with a gradient of zeros."""
    return tensor.zero_grad(x)


def grad_clip(x: Any, lower_bound: Any, upper_bound: Any) -> Variable:
    """Return ``x`` with its gradient limited to a range."""
    return tensor.grad_clip(x, lower_bound, upper_bound)


def grad_scale(x: Any, multiplier: Any) -> Variable:
    """Return ``x`` with its gradient multiplied."""
    return tensor.grad_scale(x, multiplier)


def undefined_grad(x: Any) -> Variable:
    """Return ``x`` with nothing flowing back through it."""
    return tensor.disconnected_grad(x)


def verify_grad(
    fun: Callable[..., Any],
    pt: Sequence[Any],
    n_tests: int = 2,
    rng: Any = None,
    eps: float | None = None,
    out_type: str | None = None,
    abs_tol: float | None = None,
    rel_tol: float | None = None,
    mode: Any = None,
    **options: Any,
) -> None:
    """Compare gradients with finite differences; raise ``GradientError`` where they differ.

    ``rng`` may be the module ``numpy.random``.
    """
    rng = None if rng is np.random else rng
    core_verify(fun, [np.asarray(point) for point in pt], n_tests, rng, eps, abs_tol=abs_tol, rel_tol=rel_tol)


def numeric_grad(f: Callable[..., Any], pt: Any, eps: float = 1e-6) -> Any:
    """Return the gradient of a Python function of arrays by central differences."""
    point = np.asarray(pt, "float64")
    slope = np.zeros_like(point)
    for place in np.ndindex(point.shape):
        step = np.zeros_like(point)
        step[place] = eps
        slope[place] = (f(point + step) - f(point - step)) / (2 * eps)
    return slope


def as_list_or_tuple(use_list: bool, use_tuple: bool, outputs: Any) -> Any:
    """Return outputs as a list, a tuple, or the only one of them."""
    found = list(outputs) if isinstance(outputs, (list, tuple)) else [outputs]
    if use_list:
        return found
    return tuple(found) if use_tuple else found[0]
