"""Cost of a recurrent network and its gradients, recorded one by one."""

# ruff: noqa: N803, N806 - arrays have the names that the guide gives them

from __future__ import annotations

from typing import Any


def value_and_grad(aesara: Any, *values: Any) -> Any:
    """Cost for ``x`` and its gradients with respect to two matrices and a bias, which are shared variables."""
    at = aesara.tensor
    x = at.tensor3("x", dtype="float32")
    W_in, W, b = parameters = [aesara.shared(value) for value in values]
    h, updates = aesara.scan(
        fn=lambda x_t, h_tm1, W_in, W, b: at.tanh(at.dot(x_t, W_in) + at.dot(h_tm1, W) + b),
        sequences=x,
        outputs_info=at.zeros_like(x[0]),
        non_sequences=[W_in, W, b],
    )
    cost = (h**2).mean()
    gradients = [aesara.grad(cost, parameter) for parameter in parameters]
    return aesara.function([x], [cost, *gradients], updates=updates)
