"""The guide's Gibbs chain of a restricted Boltzmann machine."""

# ruff: noqa: N803, N806 - arrays have the names that the guide gives them

from __future__ import annotations

from importlib import import_module
from typing import Any


def gibbs(aesara: Any, weights: Any, visible: Any, hidden: Any, *, steps: int) -> Any:
    """Last sample of the chain that starts from ``sample``; the weights and both biases are shared variables."""
    at, random = aesara.tensor, import_module(f"{aesara.__name__}.tensor.random.utils")
    W, bvis, bhid = (aesara.shared(value) for value in (weights, visible, hidden))
    trng = random.RandomStream(1234)

    def one_step(vsample: Any, W: Any, bvis: Any, bhid: Any) -> Any:
        hmean = at.sigmoid(at.dot(vsample, W) + bhid)
        hsample = trng.binomial(size=hmean.shape, n=1, p=hmean, dtype="float32")
        vmean = at.sigmoid(at.dot(hsample, W.T) + bvis)
        return trng.binomial(size=vsample.shape, n=1, p=vmean, dtype="float32")

    sample = at.fmatrix("sample")
    values, updates = aesara.scan(
        fn=one_step, outputs_info=sample, non_sequences=[W, bvis, bhid], n_steps=steps, strict=True
    )
    return aesara.function([sample], values[-1], updates=updates)
