"""``check="nan"``, ``jax_debug_nans`` and ``replay``: where a NaN comes from, and a step on its real values."""

import jax
import numpy as np
import pytest

import loopjax
import loopjax.tensor as at
from loopjax.random import RandomStream

ZERO = at.constant(0.0, dtype="float64")


def message(function, *args):
    with pytest.raises(FloatingPointError) as caught:
        function(*args)
    return str(caught.value)


def nested():
    """A loop in a loop that takes logarithms of falling numbers; the second of three rows falls below 0."""
    x = at.dvector("x")

    def row(start, total):
        levels, _ = loopjax.scan(lambda v: v - 1e-3, outputs_info=start, n_steps=1000, name="fall")
        logs, _ = loopjax.scan(lambda v, s: s + at.log(v), levels, ZERO, name="logs")
        return total + logs[-1]

    return x, loopjax.scan(row, x, ZERO, name="rows")[0]


def test_a_nan_in_a_loop_in_a_loop_is_named_with_op_operand_and_steps():
    x, totals = nested()
    last = loopjax.shared(0.0, name="last", dtype="float64")
    f = loopjax.function([x], totals, updates={last: totals[-1]}, check="nan", name="f")
    f([2.0, 3.0])
    before = last.get_value()
    found = message(f, [2.0, 0.7315, 3.0])
    assert found.startswith("f: log [test_replay.py:")
    assert "of -0.0005 is NaN, at step 731 of scan 'logs' [test_replay.py:" in found
    assert "at step 1 of scan 'rows' [test_replay.py:" in found
    assert last.get_value() == before


def test_the_result_of_a_call_without_nan_is_that_without_check():
    x, totals = nested()
    values = [2.0, 3.0]
    expected = loopjax.function([x], totals)(values)
    f = loopjax.function([x], totals, check="nan", accept_inplace=True)
    for _ in range(3):
        np.testing.assert_allclose(f(values), expected, rtol=1e-12)


def test_a_nan_that_a_switch_leaves_out_is_not_blamed():
    x = at.dvector("x")
    y, _ = loopjax.scan(lambda v: at.switch(v > 0, v, at.log(v - 1)), x)
    z = at.sqrt(y - 2)
    f = loopjax.function([x], z, check="nan")
    assert "sqrt" in message(f, [1.0, 3.0])
    assert "log" in message(f, [-1.0, 3.0])


@pytest.mark.parametrize(
    ("x", "said"),
    [
        ([1.0, -2.0, 3.0], r"sqrt \[.*\] of -13.677 is NaN, at step 2 of scan 'scan'"),
        ([1.0, 0.0, 0.0], r"the derivative of sqrt \[.*\] at 0. is not finite, at step 2 of scan 'scan' \["),
        ([1.0, np.nan], r"the value of 'x' \[.*\] is NaN"),
    ],
)
def test_programs_with_a_gradient(x, said):
    v, w = at.dvector("x"), at.dscalar("w")
    h, _ = loopjax.scan(lambda x_t, h, w: at.sqrt(h * w) * x_t, v, at.constant(1.0, dtype="float64"), [w])
    cost = (h**2).sum()
    f = loopjax.function([v, w], [cost, loopjax.grad(cost, w)], check="nan")
    with pytest.raises(FloatingPointError, match=said):
        f(x, 3.0)


def gradients():
    """Gradients that are NaN though their costs are not, with what is said of each."""
    x, w, stream = at.dvector("x"), at.dscalar("w"), RandomStream(3)
    yield (
        [x, w],
        loopjax.grad(at.sqrt(x * w).sum(), w),
        ([1.0, 0.0], 1.0),
        r"of sqrt \[.*\] at float64\(2,\) \[1. 0.\] is",
    )

    path, _ = loopjax.scan(
        lambda a, older, old: at.sqrt(older**2 + old * w + a),
        x,
        {"initial": at.zeros(2, "float64"), "taps": [-2, -1]},
        name="path",
    )
    # The last step in which the root is of 0, counted from the end as reverse mode is.
    yield [x, w], loopjax.grad(path.sum(), w), ([0.0, 0.0, 4.0, 1.0], 1.0), r"of sqrt .* at 0. .* step 1 of scan 'path'"

    back, _ = loopjax.scan(lambda a, h: h * w + at.sqrt((a - 1) * (a - 1) * w), x, ZERO, go_backwards=True, name="back")
    yield [x, w], loopjax.grad(back[-1], x), ([2.0, 1.0, 3.0, 4.0], 1.0), r"step 2 of scan 'back'"

    def row(a, total):
        inner, _ = loopjax.scan(lambda v: at.sqrt(v * v * w), outputs_info=a, n_steps=3, name="inner")
        return total + inner[-1]

    rows, _ = loopjax.scan(row, x, ZERO, name="rows")
    yield [x, w], loopjax.grad(rows[-1], w), ([4.0, 0.0, 3.0], 1.0), r"step 2 of scan 'inner' .* step 1 of scan 'rows'"

    noisy, _ = loopjax.scan(
        lambda h: (at.sqrt((h - 1) * (h - 1) * w) + 0 * stream.normal(dtype="float64"), loopjax.until(h > 9)),
        outputs_info=at.constant(5.0, dtype="float64"),
        n_steps=4,
        name="noisy",
    )
    yield [w], loopjax.grad(noisy[-1], w), (0.0625,), r"at 0. is not finite, at step 1 of scan 'noisy'"

    start = [at.constant(np.int64(0)), ZERO]
    (_, counted), _ = loopjax.scan(lambda a, n, h: (n + 1, at.sqrt(h * h + a * w)), x, start, name="counted")
    yield [x, w], loopjax.grad(counted[-1], w), ([1.0, -1.0, 4.0], 1.0), r"of sqrt .* at 0. .* step 1 of scan 'counted'"


@pytest.mark.parametrize("case", range(6))
def test_a_nan_that_only_a_gradient_has(case):
    inputs, slope, args, said = list(gradients())[case]
    f = loopjax.function(inputs, slope, check="nan", no_default_updates=True, on_unused_input="ignore")
    with pytest.raises(FloatingPointError, match=said):
        f(*args)


def test_loops_with_until_random_draws_and_backwards():
    stream, x = RandomStream(3), at.dvector("x")
    five = at.constant(5.0, dtype="float64")
    falling, _ = loopjax.scan(
        lambda v: (at.log(v) - 0.1, loopjax.until(v < -100)), outputs_info=five, n_steps=50, name="falling"
    )
    assert "of -1.2656 is NaN, at step 3 of scan 'falling'" in message(loopjax.function([], falling, check="nan"))
    noisy, _ = loopjax.scan(
        lambda v: at.log(v + stream.normal(dtype="float64")), outputs_info=five, n_steps=50, name="noisy"
    )
    found = message(loopjax.function([], noisy[-1], check="nan", no_default_updates=True))
    assert "log [test_replay.py" in found
    assert "of scan 'noisy'" in found
    back, _ = loopjax.scan(lambda a, b, s: s + at.sqrt(a + b), [x, x[1:]], ZERO, go_backwards=True, name="back")
    found = message(loopjax.function([x], back, check="nan"), [1.0, -3.0, 1.0, 1.0, 1.0])
    # Each is read from its last row: both are the second row of x at step 3.
    assert "of -6. is NaN, at step 3 of scan 'back'" in found


def test_debug_nans_of_jax_says_the_same():
    x, totals = nested()
    f = loopjax.function([x], totals)
    f([2.0, 3.0])
    with jax.debug_nans(True):
        f([2.0, 3.0])
        found = message(f, [2.0, 0.7315])
    assert "at step 731 of scan 'logs'" in found


@pytest.mark.parametrize("by_jax", [False, True], ids=["check", "jax_debug_infs"])
def test_an_infinite_value_or_gradient_is_named(by_jax):
    x = at.dvector("x")
    start = at.constant(0.0, dtype="float64")
    roots, _ = loopjax.scan(lambda x, h: h + at.sqrt(x), x, start, name="roots")
    logs, _ = loopjax.scan(lambda x, h: h + at.log(x), x, start, name="logs")
    said = {
        loopjax.grad(roots[-1], x): r"the derivative of sqrt .* at 0\. is not finite, at step 1 of scan 'roots'",
        logs: r"log .* of 0\. is infinite, at step 1 of scan 'logs'",
    }
    for result, message in said.items():
        f = loopjax.function([x], result, check=None if by_jax else "inf")
        f([1.0, 2.0])
        with jax.debug_infs(by_jax), pytest.raises(FloatingPointError, match=message):
            f([1.0, 0.0, 2.0])
        assert np.isinf(loopjax.function([x], result, check="nan")([1.0, 0.0, 2.0])).any()


def test_a_step_on_its_real_values():
    x, w = at.dvector("x"), loopjax.shared(2.0, name="w", dtype="float64")
    h, _ = loopjax.scan(
        lambda now, old, one, two, w: (now - old) * w + one * two,
        sequences=[dict(input=x, taps=[0, -1])],  # noqa: C408
        outputs_info=[dict(initial=at.ones(2, dtype="float64"), taps=[-1, -2])],  # noqa: C408
        non_sequences=w,
    )
    f = loopjax.function([x], h, updates={w: w + 1})
    values = np.array([1.0, 2.0, 4.0, 7.0])
    f(values)
    rows = np.asarray(f.copy(delete_updates=True)(values))
    for step, pasts in enumerate([(1.0, 1.0), (rows[0], 1.0), (rows[1], rows[0])]):
        found = f.replay([values], step=step)
        given = [float(array) for _, array in found.inputs]
        np.testing.assert_allclose(given, [values[step + 1], values[step], *pasts, 3.0])
        assert float(found.ops[-1][1][0]) == pytest.approx(rows[step])
    assert float(w.get_value()) == 3.0
    assert "step 2 of scan 'scan' [test_replay.py" in str(found)


def test_a_step_of_a_loop_in_a_loop_and_of_one_with_a_gradient():
    x, totals = nested()
    f = loopjax.function([x], [totals, loopjax.grad(totals[-1], x)])
    found = f.replay({"x": [2.0, 3.0]}, step=(1, 10), loop="logs")
    assert float(found.inputs[0][1]) == pytest.approx(3.0 - 0.011)
    with pytest.raises(ValueError, match=r"rows.* ran 2 steps; expected one of them, counted from 0, got step 2"):
        f.replay([[2.0, 3.0]], step=2)
    with pytest.raises(ValueError, match=r"replay: 0 of the loops .* are 'other'; expected one"):
        f.replay([[2.0, 3.0]], step=1, loop="other")
    with pytest.raises(ValueError, match=r"replay: 2 of the loops .*fall.*logs"):
        f.replay([[2.0, 3.0]], step=(1, 1))


def test_shared_variables_that_a_loop_updates():
    count = loopjax.shared(1.0, name="count", dtype="float64")
    out, updates = loopjax.scan(lambda: (count * 2, {count: count * 2}), n_steps=5)
    f = loopjax.function([], out, updates=updates)
    for step in range(5):
        (_, value), *_ = f.replay(step=step).inputs
        assert float(value) == 2.0**step


def test_a_check_that_does_not_exist():
    x = at.dvector("x")
    with pytest.raises(ValueError, match="check"):
        loopjax.function([x], x, check="nans")


def test_a_step_shows_the_names_of_parameters():
    out, _ = loopjax.scan(lambda row, h: h + row, [np.arange(3.0)], [np.float64(1)])
    assert str(loopjax.function([], out).replay(step=1)).splitlines()[1:3] == ["  row = 1.", "  h = 1."]
