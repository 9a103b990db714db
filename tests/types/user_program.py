# pyright: strict, reportUnnecessaryTypeIgnoreComment=true, reportUnknownMemberType=false
"""A user's program: what a type checker says of each expression is asserted, and each ignored line must be an error."""

from typing import Any, assert_type

import numpy as np

import loopjax
import loopjax.tensor as at
from loopjax.random import RandomStream
from loopjax.report.report import Report
from loopjax.tensor import Variable


def step(row: Variable, state: Variable, weights: Variable) -> Variable:
    assert_type(row @ weights, Variable)
    return at.tanh(row @ weights + state)


x = at.dmatrix("x")
weights = loopjax.shared(np.eye(3), name="weights")
assert_type(x, Variable)
assert_type(x + 1, Variable)
assert_type(x.sum(axis=0), Variable)
assert_type(at.exp(x), Variable)
assert_type(at.zeros((3,), dtype="float64"), Variable)

states, updates = loopjax.scan(step, sequences=x, outputs_info=at.zeros(3, dtype="float64"), non_sequences=weights)
cost = (states[-1] ** 2).sum()
gradient = loopjax.grad(cost, weights)
f = loopjax.function([x], [cost, gradient], updates={weights: weights - 0.1 * gradient})
assert_type(f, loopjax.Function)
values: Any = f(np.ones((4, 3)))
assert_type(loopjax.explain(f), Report)
noise: Variable = RandomStream(3).normal(size=(2,))
assert_type(weights.get_value(), Any)

x.sum(axes=0)  # type: ignore[call-arg]
at.tanhh(x)  # type: ignore[attr-defined]
loopjax.explain(3)  # type: ignore[arg-type]
