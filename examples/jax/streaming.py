"""A filter with taps is recorded for a whole signal, and runs on a stream of samples, one a call.

Run it with ``python -m examples.jax.streaming``.
"""

from __future__ import annotations

import jax
import numpy as np

import loopjax
import loopjax.tensor as at


def main() -> float:
    """Filters 500 samples at once and one by one; returns the largest deviation."""
    signal = at.fvector("signal")
    filtered, _ = loopjax.scan(
        lambda now, old, one, two: 0.2 * (now + old) + 1.2 * one - 0.6 * two,
        {"input": signal, "taps": [0, -1]},
        {"initial": at.zeros(2, dtype="float32"), "taps": [-1, -2]},
    )
    samples = np.random.default_rng(0).normal(size=501).astype("float32")
    whole = loopjax.function([signal], filtered)(samples)

    init, step = loopjax.stepper(signal, filtered)
    step, state, found = jax.jit(step), init(rows=samples[:1]), []
    for sample in samples[1:]:
        state, value = step(state, sample)
        found.append(float(value))
    return float(abs(np.asarray(whole) - found).max())


if __name__ == "__main__":
    deviation = main()
    print(f"the stream deviates by at most {deviation:.1e}")
    assert deviation < 1e-5
