"""Gradients through loops that stop by until: against finite differences of a Python loop, to third order."""

import numpy as np
import pytest

import loopjax
import loopjax.tensor as at
from loopjax.random import RandomStream
from tests.compilations import Counting
from tests.differences import differences

VALUES = (np.arange(1.0, 6.0), 1.0, 1.1)


def loop(**options):
    """``b *= x_t * w`` until it reaches 3, and its inputs."""
    x, b, w = at.dvector("x"), at.dscalar("b"), at.dscalar("w")

    def step(x_t, b, w):
        b = b * x_t * w
        return b, loopjax.until(b >= 3)

    out, _ = loopjax.scan(step, sequences=x, outputs_info=b, non_sequences=w, name="product", **options)
    return out, [x, b, w]


def python_loop(x, b, w):
    steps = []
    for x_t in x:
        b = b * x_t * w
        steps.append(b)
        if b >= 3:
            break
    return np.array(steps)


READS = {
    "the last": (lambda o: o[-1], lambda o: o[-1]),
    "the sum": (lambda o: o.sum(), lambda o: o.sum()),
    "the mean and the last but one": (lambda o: o.mean() + o[-2] ** 2, lambda o: o.mean() + o[-2] ** 2),
    "a step and the product": (lambda o: o[1] * o[-1] + o.prod(0), lambda o: o[1] * o[-1] + o.prod()),
    "all": (lambda o: (o**2).sum(), lambda o: (o**2).sum()),
    "all, backwards": (
        lambda o: (at.tanh(o[::-1]).cumsum() ** 2).sum(),
        lambda o: (np.tanh(o[::-1]).cumsum() ** 2).sum(),
    ),
    "differences": (lambda o: (o[1:] - o[:-1]).std() * o.max(), lambda o: np.diff(o).std() * o.max()),
}


@pytest.mark.parametrize("read", READS)
def test_gradients_equal_finite_differences_of_a_python_loop(read):
    symbolic, numeric = READS[read]
    out, inputs = loop()
    cost = symbolic(out)
    value, *grads = loopjax.function(inputs, [cost, *loopjax.grad(cost, inputs)])(*VALUES)
    np.testing.assert_allclose(value, numeric(python_loop(*VALUES)), rtol=1e-12)
    for position, grad in enumerate(grads):
        np.testing.assert_allclose(
            grad, differences(lambda *values: numeric(python_loop(*values)), VALUES, position), rtol=1e-6, atol=1e-9
        )
    assert np.all(np.asarray(grads[0])[3:] == 0), "steps that did not run have no gradient"


def test_the_gradient_of_every_output():
    out, inputs = loop()
    rows, _ = loopjax.scan(
        lambda i, out, w: loopjax.grad(out[i], w), sequences=at.arange(3), non_sequences=[out, inputs[2]]
    )
    each = [loopjax.grad(out[i], inputs[2]) for i in range(3)]
    found = loopjax.function(inputs, [rows, *each])(*VALUES)
    for result in (found[0], found[1:]):
        np.testing.assert_allclose(result, [1.0, 2 * 2 * 1.1, 6 * 3 * 1.1**2], rtol=1e-12)


def test_one_program_serves_all_trip_counts_where_no_stack_is_read():
    out, inputs = loop()
    f = Counting(loopjax.function(inputs, loopjax.grad(out[-1] + out.sum(), inputs)))

    def reference(*values):
        steps = python_loop(*values)
        return steps[-1] + steps.sum()

    for start in (0.01, 0.1, 1.0, 3.0):
        values = (VALUES[0], start, 1.1)
        for position, grad in enumerate(f(*values)):
            expected = differences(reference, values, position)
            np.testing.assert_allclose(grad, expected, rtol=1e-6, atol=1e-9)
    assert f.count == 1


@pytest.mark.parametrize("whole", [False, True])
def test_second_and_third_derivatives(whole):
    out, inputs = loop()
    w = inputs[2]
    cost = (out**2).sum() if whole else out[-1]
    second = loopjax.grad(loopjax.grad(cost, w), w)
    found = loopjax.function(inputs, [second, loopjax.grad(second, w)])(*VALUES)
    v = 1.1
    # The steps are w, 2 w^2 and 6 w^3.
    expected = [2 + 48 * v**2 + 1080 * v**4, 96 * v + 4320 * v**3] if whole else [36 * v, 36.0]
    np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("last", [1, 2, 3, 7])
def test_truncation_counts_from_the_step_that_was_the_last(last, whole):
    out, inputs = loop(truncate_gradient=last)
    cost = (out**2).sum() if whole else out[-1] + out.sum()
    grads = loopjax.function(inputs, loopjax.grad(cost, inputs))(*VALUES)
    first = max(3 - last, 0)
    held = python_loop(*VALUES)[:first]

    def truncated(x, b, w):
        steps = list(held)
        b = held[-1] if first else b
        for x_t in x[first:3]:
            b = b * x_t * w
            steps.append(b)
        steps = np.array(steps)
        return (steps**2).sum() if whole else steps[-1] + steps.sum()

    for position, grad in enumerate(grads):
        expected = np.zeros_like(np.array(VALUES[position]))
        for index in np.ndindex(*expected.shape):
            for sign in (1, -1):
                moved = [np.array(value) for value in VALUES]
                moved[position][index] += sign * 1e-6
                expected[index] += sign * truncated(*moved) / 2e-6
        np.testing.assert_allclose(grad, expected, rtol=1e-6, atol=1e-9)


def test_what_a_step_that_does_not_run_would_give_never_shows():
    """The square root of the next step is that of a negative number."""
    x = at.dscalar("x")
    out, _ = loopjax.scan(lambda h: (at.sqrt(h) - 1, loopjax.until(h < 2)), outputs_info=x, n_steps=500)
    grad = loopjax.function([x], loopjax.grad(out[-1] + out.sum(), x))(9.0)
    # 9, 2, 0.41: the step that starts below 2 is the last.
    h, total = [9.0], 0.0
    while True:
        h.append(np.sqrt(h[-1]) - 1)
        if h[-2] < 2:
            break
    slope = 1.0
    for value in h[:-1]:
        slope *= 0.5 / np.sqrt(value)
        total += slope
    np.testing.assert_allclose(grad, slope + total, rtol=1e-12)


def test_draws_and_updates_inside():
    """The same draws forward and backward; the updates are those of the steps that ran."""
    stream = at.random.RandomStream(3)
    m = at.dscalar("m")
    count = loopjax.shared(np.array(0), name="count")

    def step(h):
        h = h * (1 + 0.5 * stream.uniform())
        return h, {count: count + 1}, loopjax.until(h > 4)

    out, updates = loopjax.scan(step, outputs_info=m, n_steps=50)
    f = loopjax.function([m], [out[-1], loopjax.grad(out[-1], m)], updates=updates)
    last, slope = f(1.0)
    assert float(last) > 4
    np.testing.assert_allclose(slope, last, rtol=1e-12)
    assert 1 < int(count.get_value()) < 50


def test_deep_taps_and_folded_sums_through_until():
    x = at.dvector("x")
    out, _ = loopjax.scan(
        lambda old, last: (0.5 * old + at.sin(last), loopjax.until(old > 0.7)),
        outputs_info={"initial": x, "taps": [-6, -1]},
        n_steps=40,
    )
    cost = out.sum() * out[-1]
    values = np.linspace(0.1, 0.9, 6)

    def numeric(x):
        h = list(x)
        while True:
            h.append(0.5 * h[-6] + np.sin(h[-1]))
            if h[-7] > 0.7:
                break
        return sum(h[6:]) * h[-1]

    grad = loopjax.function([x], loopjax.grad(cost, x))(values)
    expected = [(numeric(values + d) - numeric(values - d)) / 2e-6 for d in np.eye(6) * 1e-6]
    np.testing.assert_allclose(grad, expected, rtol=1e-6)


def test_a_long_limit_costs_nothing_but_what_runs():
    h = at.dvector("h")
    out, _ = loopjax.scan(lambda h: (h * 1.1, loopjax.until(h.sum() > 1e4)), outputs_info=h, n_steps=100_000)
    f = loopjax.function([h], loopjax.grad(out[-1].sum(), h))
    slope = np.asarray(f(np.ones(50)))
    np.testing.assert_allclose(slope, 1.1 ** np.round(np.log(slope[0]) / np.log(1.1)), rtol=1e-10)
    assert f.lower(np.ones(50)).compile().memory_analysis().temp_size_in_bytes < 200 * 50 * 8


class TestWithoutABound:
    """A loop that nothing but ``until`` ends, after at most 2**20 steps."""

    @staticmethod
    def loop():
        h = at.dvector("h")
        return h, loopjax.scan(lambda h: (h * 1.1, loopjax.until(h.sum() > 1e4)), outputs_info=h)[0]

    def test_its_gradient_stores_few_states(self):
        h, out = self.loop()
        f = loopjax.function([h], [out[-1].sum(), loopjax.grad(out[-1].sum(), h)])
        total, slope = f(np.ones(50))
        steps = round(np.log(total / 50) / np.log(1.1))
        assert steps == 57
        np.testing.assert_allclose(slope, np.full(50, 1.1**steps), rtol=1e-12)
        nest = loopjax.explain(f).loops[0].plan.checkpoint
        assert [box.sizes for box in nest.boxes] == [(16,) * 5]
        assert f.compile(np.ones(50)).memory_analysis().temp_size_in_bytes < 2 * 5 * 16 * 50 * 8

    def test_it_needs_no_state(self):
        stream = RandomStream(3)
        draw = lambda: (u := stream.uniform(dtype="float64"), loopjax.until(u > 0.9))  # noqa: E731
        out, updates = loopjax.scan(draw)
        rows = loopjax.function([], out, updates=updates)()
        assert (rows[:-1] <= 0.9).all()
        assert rows[-1] > 0.9

    def test_its_stack_has_the_rows_that_there_are(self):
        h, out = self.loop()
        f = loopjax.function([h], out)
        for start in (1.0, 2.0, 3.0):
            rows = f(np.full(50, start))
            assert rows[-1].sum() > 1e4 * 1.1 > rows[-3].sum() * 1.1
            expected = start * 1.1 ** np.arange(1, len(rows) + 1)
            np.testing.assert_allclose(rows, np.tile(expected[:, None], 50), rtol=1e-12)
        report = str(loopjax.explain(f))
        assert "up to 1,048,576 steps -> while: it stops when until says so\n  stacks 0 bytes" in report


class TestLengthsThatVaryFromStepToStep:
    """An inner loop whose ``n_steps`` an outer step computes."""

    def inner(self, k, h, w):
        out, _ = loopjax.scan(lambda h, w: at.sin(h) * w + 0.3, outputs_info=h, non_sequences=w, n_steps=k)
        return out[-1] + out.sum()

    def python(self, k, h, w):
        total = 0.0
        for _ in range(k):
            h = np.sin(h) * w + 0.3
            total += h
        return h + total

    def check(self, f, grad, args, w=1.2):
        expected = (float(f(*args, w + 1e-6)) - float(f(*args, w - 1e-6))) / 2e-6
        np.testing.assert_allclose(grad(*args, w), expected, rtol=1e-6)

    def test_from_a_sequence_of_lengths(self):
        ns, w = at.lvector("ns"), at.dscalar("w")
        out, _ = loopjax.scan(lambda k, w: self.inner(k, 0.5, w), sequences=ns, non_sequences=w)
        cost = (out**2).sum()
        f, grad = loopjax.function([ns, w], cost), loopjax.function([ns, w], loopjax.grad(cost, w))
        expected = sum(self.python(k, 0.5, 1.2) ** 2 for k in (1, 3, 9, 2))
        np.testing.assert_allclose(f([1, 3, 9, 2], 1.2), expected, rtol=1e-12)
        self.check(f, grad, [[1, 3, 9, 2]])
        self.check(f, grad, [[9, 16, 1, 1]])
        assert len(grad.stages[-1].programs) == 1, "lengths up to 16 are one program"
        self.check(f, grad, [[1, 17, 1, 1]])

    def test_from_what_the_steps_before_computed_and_two_loops_deep(self):
        n, w = at.lscalar("n"), at.dscalar("w")

        def outer(i, h, w):
            k = at.cast(at.floor(abs(h)), "int64") % 3 + 1
            mid, _ = loopjax.scan(
                lambda j, s, h, w: s + self.inner(j + i % 2 + 1, h, w),
                sequences=at.arange(5),
                outputs_info=at.zeros_like(w),
                non_sequences=[h, w],
                n_steps=3,
            )
            return at.tanh(mid[-1]) * 3 + self.inner(k, h, w) / 9

        out, _ = loopjax.scan(outer, sequences=at.arange(n), outputs_info=at.ones_like(w), non_sequences=w)
        cost = out.sum()
        self.check(loopjax.function([n, w], cost), loopjax.function([n, w], loopjax.grad(cost, w)), [4])

    def test_differentiated_inside_of_the_body(self):
        w = at.dscalar("w")
        rows, _ = loopjax.scan(
            lambda i, w: loopjax.grad(self.inner(i + 1, 0.5, w), w), sequences=at.arange(6), non_sequences=w
        )
        found = loopjax.function([w], rows)(1.2)
        expected = [(self.python(k, 0.5, 1.2 + 1e-6) - self.python(k, 0.5, 1.2 - 1e-6)) / 2e-6 for k in range(1, 7)]
        np.testing.assert_allclose(found, expected, rtol=1e-6)

    def test_second_derivative(self):
        ns, w = at.lvector("ns"), at.dscalar("w")
        out, _ = loopjax.scan(lambda k, w: self.inner(k, 0.5, w), sequences=ns, non_sequences=w)
        slope = loopjax.grad((out**2).sum(), w)
        f, grad = loopjax.function([ns, w], slope), loopjax.function([ns, w], loopjax.grad(slope, w))
        self.check(f, grad, [[1, 3, 9, 2]])


@pytest.mark.parametrize("read", READS)
def test_forward_mode_agrees_with_reverse_mode(read):
    symbolic, _ = READS[read]
    out, inputs = loop()
    cost = symbolic(out)
    tangents = [at.dvector("dx"), at.dscalar("db"), at.dscalar("dw")]
    values = np.array([0.3, -1.0, 0.5, 2.0, 1.0]), 0.7, -0.2
    forward = loopjax.function([*inputs, *tangents], loopjax.Rop(cost, inputs, tangents))(*VALUES, *values)
    grads = loopjax.function(inputs, loopjax.grad(cost, inputs))(*VALUES)
    along = sum(float(np.sum(np.asarray(grad) * value)) for grad, value in zip(grads, values, strict=True))
    np.testing.assert_allclose(forward, along, rtol=1e-12)
    both = loopjax.grad(loopjax.Rop(cost, inputs[2], tangents[2]), tangents[2])
    slope = loopjax.function([*inputs, *tangents], both, on_unused_input="ignore")(*VALUES, *values)
    np.testing.assert_allclose(slope, grads[2], rtol=1e-12)


@pytest.mark.parametrize("both_modes", [False, True])
def test_chunks_after_the_end_are_skipped(both_modes):
    h = at.dscalar("h")
    out, _ = loopjax.scan(lambda h: (at.sin(h) + 1, loopjax.until(h > 1.9)), outputs_info=h, n_steps=10**6)
    slope = loopjax.grad(out[-1], h)
    f = loopjax.function([h], loopjax.Rop(slope, h, 1.0) if both_modes else slope)
    values = [0.5]
    while len(values) < 2 or values[-2] <= 1.9:
        values.append(np.sin(values[-1]) + 1)
    slopes = np.cumprod(np.cos(values[:-1]))
    curvature = slopes[-1] * -np.sum(np.tan(values[:-1]) * np.concatenate([[1.0], slopes[:-1]]))
    np.testing.assert_allclose(f(0.5), curvature if both_modes else slopes[-1], rtol=1e-10)
    assert "stablehlo.case" in f.lower(0.5).as_text()


@pytest.mark.parametrize("backwards", [False, True])
def test_long_sequences_that_no_gradient_flows_to(backwards):
    """Second derivatives go the same way as first ones."""
    x, h, w = at.dmatrix("x"), at.dvector("h"), at.dvector("w")

    def step(now, after, count, h, w):
        h = at.tanh(h * w + now * after)
        return [count + 1, h], loopjax.until(count >= 20)

    (_, out), _ = loopjax.scan(
        step, {"input": x, "taps": [0, 1]}, [np.int64(1), h], w, name="long", go_backwards=backwards
    )
    cost = (out[-1] ** 2).sum() + out.sum()
    grads = loopjax.grad(cost, [h, w])
    slope = loopjax.grad((grads[1] ** 2).sum(), w)
    f, g = loopjax.function([x, h, w], cost), loopjax.function([x, h, w], [*grads, slope])
    squared = loopjax.function([x, h, w], (grads[1] ** 2).sum())
    rng = np.random.default_rng(2)
    values = rng.normal(size=(20_001, 3)), rng.normal(size=3), rng.normal(size=3)
    found = g(*values)
    for position, grad, value in ((1, found[0], f), (2, found[1], f), (2, found[2], squared)):
        for index in range(3):
            sides = []
            for sign in (1, -1):
                moved = [np.array(one) for one in values]
                moved[position][index] += sign * 1e-6
                sides.append(float(value(*moved)))
            np.testing.assert_allclose(grad[index], (sides[0] - sides[1]) / 2e-6, rtol=1e-6, atol=1e-8)
    first = loopjax.function([x, h, w], grads)
    assert first.lower(*values).compile().memory_analysis().temp_size_in_bytes < 2**22
