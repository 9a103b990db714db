"""``verify_grad``: compares a gradient with finite differences.

Random weights project the outputs to a scalar, so that one gradient checks the whole Jacobian with high probability.
Each element of the gradient costs two evaluations of ``fun``; a point of more than a few hundred elements is slow.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from loopjax.errors import GradientError, check_callable, coded, here, reported
from loopjax.ir.graph import Variable
from loopjax.ir.types import TensorType
from loopjax.runtime.function import Function, function
from loopjax.trace.convert import numeric
from loopjax.trace.grad import grad

Array = np.ndarray[Any, Any]


DEFAULTS = {"float64": (1e-5, 1e-4), "float32": (5e-3, 1e-2), "float16": (0.1, 0.1)}
"""The step of the differences, and both tolerances, for each dtype."""


@reported
def verify_grad(
    fun: Callable[..., Any],
    pt: Sequence[Any],
    n_tests: int = 2,
    rng: Any = None,
    eps: float | None = None,
    out_type: Any = None,
    abs_tol: float | None = None,
    rel_tol: float | None = None,
    mode: Any = None,
    cast_to_output_type: bool = False,
    no_debug_ref: bool = True,
) -> None:
    """Compare the gradient of ``fun`` with central finite differences.

    Outputs are projected to a scalar by random weights, whose gradient is compared element by element.

    Parameters
    ----------
    fun : callable
        Called once, with a variable for each entry of ``pt``; returns a float variable of any shape, or a list of
        them. Random draws that it makes are the same in every evaluation.
    pt : sequence of array_like
        The point, float arrays.
    n_tests : int, default 2
        The number of random projections.
    rng : numpy.random.Generator, optional
        The generator of the projections; one of a fixed seed by default.
    eps : float, optional
        The step of the differences; by default 1e-5 for float64, 5e-3 for float32 and 0.1 for float16.
    out_type : object, optional
        Accepted for old programs; changes nothing.
    abs_tol, rel_tol : float, optional
        An element is wrong where it differs by more than ``abs_tol`` and by more than ``rel_tol`` times the larger of
        the two values; by default 1e-4 for float64, 1e-2 for float32 and 0.1 for float16.
    mode, cast_to_output_type, no_debug_ref : object, optional
        Accepted for old programs; they change nothing.

    Returns
    -------
    None

    Raises
    ------
    GradientError
        The gradient is wrong; names the argument, the place and both values, of the element that differs most.
    TypeError
        ``pt`` or what ``fun`` returns is not float.

    Examples
    --------
    >>> import loopjax
    >>> import loopjax.tensor as at
    >>> loopjax.verify_grad(lambda x: at.sin(x) * x, [[1.0, 2.0]])
    """
    check_callable("fun", fun, "a function of variables; write verify_grad(lambda x: x**2, [value])")
    if not isinstance(pt, (list, tuple)) or not pt:
        raise TypeError(f"pt is a list with a value for each argument of fun, got {pt!r:.80}; write [value]")
    points = [_float(value, position) for position, value in enumerate(pt)]
    step, tolerance = max(DEFAULTS[point.dtype.name] for point in points)  # those of the narrowest dtype
    step = step if eps is None else eps
    tolerances = [tolerance if chosen is None else chosen for chosen in (abs_tol, rel_tol)]
    variables = [Variable(TensorType(point.dtype.name, point.shape), name=f"pt[{i}]") for i, point in enumerate(points)]
    outputs = fun(*variables)
    outputs = list(outputs) if isinstance(outputs, (list, tuple)) else [outputs]
    for output in outputs:
        if not isinstance(output, Variable) or not output.type.is_float:
            raise TypeError(f"verify_grad: fun returns float variables, got {output!r}")
    if eps == 0:
        raise ValueError(f"eps is {eps}; expected a number above 0, write eps=1e-6{here()}")
    if rng is not None and not isinstance(rng, (np.random.Generator, np.random.RandomState)):
        raise TypeError(
            f"rng is {type(rng).__name__} {rng!r:.80}; expected a generator, write numpy.random.default_rng(0){here()}"
        )
    generator = np.random.default_rng(0) if rng is None else rng
    weights = [Variable(output.type.strong(), name=f"weight {i}") for i, output in enumerate(outputs)]
    cost = sum((weight * output).sum() for weight, output in zip(weights, outputs, strict=True))
    options: dict[str, Any] = {"no_default_updates": True, "on_unused_input": "ignore"}
    values = function(variables, outputs, **options)
    slopes = function([*variables, *weights], grad(cost, variables, disconnected_inputs="ignore"), **options)
    shapes = [np.shape(value) for value in values(*points)]
    for _ in range(n_tests):
        projection = [
            np.asarray(generator.uniform(0.5, 1.5, shape), output.dtype)
            for shape, output in zip(shapes, outputs, strict=True)
        ]
        analytic = slopes(*points, *projection)
        for position, slope in enumerate(analytic):
            numeric = _differences(values, projection, points, position, step)
            _compare(position, np.asarray(slope, "float64"), numeric, *tolerances)


def _float(value: Any, position: int) -> Array:
    array = numeric(value)
    if array.dtype.name not in DEFAULTS:
        raise TypeError(f"verify_grad: pt[{position}] is {array.dtype.name}; expected one of {', '.join(DEFAULTS)}")
    return array


def _differences(
    values: Function, projection: Sequence[Array], points: Sequence[Array], position: int, eps: float
) -> Array:
    """Return the gradient of the projected outputs with respect to one argument, by central differences."""
    found = np.zeros(points[position].shape, "float64")

    def projected(argument: Array) -> float:
        outputs = values(*points[:position], argument, *points[position + 1 :])
        return sum(float(np.sum(np.asarray(y, "float64") * w)) for y, w in zip(outputs, projection, strict=True))

    for index in np.ndindex(*found.shape):
        right, left = np.array(points[position]), np.array(points[position])
        right[index] += eps
        left[index] -= eps
        # The distance after rounding to the dtype, which in half precision is not 2 * eps.
        found[index] = (projected(right) - projected(left)) / (float(right[index]) - float(left[index]))
    return found


def _compare(position: int, analytic: Array, numeric: Array, abs_tol: float, rel_tol: float) -> None:
    """Raise ``GradientError`` where two gradients differ, for the place where they differ most."""
    apart = np.abs(analytic - numeric)
    allowed = np.maximum(abs_tol, rel_tol * np.maximum(np.abs(analytic), np.abs(numeric)))
    wrong = ~(apart <= allowed)
    if not wrong.any():
        return
    excess = np.where(wrong, np.nan_to_num(apart - allowed, nan=np.inf), -np.inf)
    worst = tuple(int(i) for i in np.unravel_index(np.argmax(excess), excess.shape))
    raise coded(GradientError, "LJ405")(
        f"the gradient with respect to argument {position} is wrong at {list(worst)} of shape {analytic.shape}: grad "
        f"gives {analytic[worst]:.9g}, finite differences {numeric[worst]:.9g}; {int(wrong.sum())} of {wrong.size} "
        f"elements differ by more than {abs_tol:g} and {rel_tol:g} of the value",
        position,
        worst,
        float(analytic[worst]),
        float(numeric[worst]),
    )
