"""``scan_checkpoints``: rows and gradients for taps, unequal lengths, any number of steps and every output."""

import os

import numpy as np
import pytest

import loopjax
import loopjax.tensor as at
from tests.checkpoint import jaxpr

RNG = np.random.default_rng(5)

LENGTHS = (1, 2, 13, 41, 299)
EVERY = (1, 4, 13, 40)

WHOLE = os.environ.get("LOOPJAX_WHOLE_GRID", "")
"""``LOOPJAX_WHOLE_GRID=1 pytest tests/checkpoint`` takes every length from 1 to 300 and every N from 1 to 40: half an
hour on one core, since nothing is compiled."""


def kept(n_steps, every):
    return np.array([t for t in range(n_steps) if (t + 1) % every == 0 or t == n_steps - 1], "int64")


def fn(x_now, x_next, y_now, old, new, w):
    return at.tanh(old * w + new * x_now) + x_next * y_now, new * 2


@pytest.mark.parametrize("n_steps", LENGTHS)
def test_rows_and_gradients_are_those_of_a_plain_scan(n_steps):
    """All N in one program. N as long as the loop or longer is one case."""
    x, y, start, w = inputs = [at.dvector("x"), at.dvector("y"), at.dvector("start"), at.dscalar("w")]
    arguments = {
        "sequences": [{"input": x, "taps": [0, 1]}, y],
        "outputs_info": [{"initial": start, "taps": [-2, -1]}, None],
        "non_sequences": w,
    }
    values = [RNG.normal(size=n_steps + 1), RNG.normal(size=n_steps + 3), RNG.normal(size=2), np.array(0.4)]

    def results(outputs):
        cost = sum((out**2).sum() for out in outputs)
        return [*outputs, *loopjax.grad(cost, inputs)]

    plain, _ = loopjax.scan(fn, **arguments)
    every = [n for n in EVERY if n <= n_steps] or [EVERY[-1]]
    few = [results(loopjax.scan_checkpoints(fn, **arguments, save_every_N=n)[0]) for n in every]
    expected = [results([out[kept(n_steps, n)] for out in plain]) for n in every]
    count = len(few[0])
    found = loopjax.function(inputs, [value for group in few for value in group])(*values)
    wanted = loopjax.function(inputs, [value for group in expected for value in group])(*values)
    for position, (one, other) in enumerate(zip(found, wanted, strict=True)):
        name = f"{n_steps} steps, N={every[position // count]}, result {position % count}"
        np.testing.assert_allclose(one, other, rtol=1e-11, atol=1e-14, err_msg=name)


@pytest.mark.parametrize("taps", [(-1,), (-1, -3)])
@pytest.mark.parametrize("n_steps", range(1, 301) if WHOLE else (2, 41))
def test_each_pair_of_length_and_n(n_steps, taps):
    """The gradient of what ``scan_checkpoints`` keeps, and of the same rows of ``scan(checkpoint=)``."""
    if WHOLE and len(taps) > 1 and n_steps % 20:
        pytest.skip("a sample of the lengths is enough for taps")
    x, start, w, weights = inputs = [at.dvector("x"), at.dvector("start"), at.dscalar("w"), at.dvector("weights")]
    arguments = {
        "fn": lambda a, *past_and_w: at.tanh(sum(past_and_w[:-1]) * past_and_w[-1] + a),
        "sequences": x,
        "outputs_info": {"initial": start if len(taps) > 1 else start[0], "taps": list(taps)},
        "non_sequences": w,
    }
    values = [RNG.normal(size=n_steps), RNG.normal(size=-min(taps)), np.array(0.4)]

    def gradients(cost):
        return loopjax.grad(cost, inputs[:3])

    def weighted(**options):
        return emitted(gradients((loopjax.scan(**arguments, **options)[0] ** 2 * weights).sum()))

    def emitted(outputs):
        return loopjax.function(inputs, outputs, on_unused_input="ignore")

    plain = weighted()
    for every in range(1, 41) if WHOLE else (1, 4, 13):
        few, _ = loopjax.scan_checkpoints(**arguments, save_every_N=every)
        read = np.zeros(n_steps)
        read[kept(n_steps, every)] = 1
        expected = jaxpr.results(plain, *values, read)
        for function in (emitted(gradients((few**2).sum())), weighted(checkpoint=every)):
            for one, other in zip(jaxpr.results(function, *values, read), expected, strict=True):
                np.testing.assert_allclose(one, other, rtol=1e-11, atol=1e-14, err_msg=f"{n_steps} steps, N={every}")


@pytest.mark.parametrize("every", [1, 4])
def test_no_steps(every):
    x = at.dvector("x")
    few, _ = loopjax.scan_checkpoints(
        lambda a, h: h * a, x, at.constant(1.0, dtype="float64"), n_steps=x.shape[0], save_every_N=every
    )
    assert loopjax.function([x], few)(np.ones(0)).shape == (0,)
