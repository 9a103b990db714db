"""What reductions over steps read elementwise of a loop is computed in it: values, and which of it."""

import numpy as np
import pytest

import loopjax
import loopjax.tensor as at
from loopjax.rewrite.producer_fusion import FuseProducers
from tests.rewrite.sized import after, float64, lines, rewrites, scans, sized_graph, text

STEPS, N = 9, 3
RNG = np.random.default_rng(11)
X, H, Y = at.dmatrix("x"), at.dvector("h"), at.dmatrix("y")
VALUES = [RNG.normal(size=(STEPS, N)), RNG.normal(size=N), RNG.normal(size=(STEPS, N))]


def step(x, h):
    return 0.5 * h * h + x


def states(x, h):
    found = []
    for row in x:
        h = step(row, h)
        found.append(h)
    return np.array(found)


def stacks(f):
    """How many whole stacks the loops of a program keep."""
    ops = [op for stage in f.stages for op in scans(stage.programs[-1].graph)]
    return sum(output.saved.all for op in ops for output in op.outputs)


def run(make, **options):
    h, _ = loopjax.scan(step, sequences=X, outputs_info=H, **options)
    f = loopjax.function([X, H, Y], make(h), on_unused_input="ignore", lengths="exact")
    return f, f(*VALUES)


H_ALL = states(VALUES[0], VALUES[1])

TERMS = {
    "squares": (lambda h: (h**2).sum(axis=0), (H_ALL**2).sum(axis=0)),
    "distances": (lambda h: ((h - Y) ** 2).mean(axis=0), ((H_ALL - VALUES[2]) ** 2).mean(axis=0)),
    "all axes": (lambda h: ((h - Y) ** 2).mean(), ((H_ALL - VALUES[2]) ** 2).mean()),
    "largest": (lambda h: abs(h - 1).max(axis=0), abs(H_ALL - 1).max(axis=0)),
    "where": (lambda h: (h > H).any(axis=0), (VALUES[1] < H_ALL).any(axis=0)),
    "weighed": (lambda h: (h * H).sum(axis=(0, 1), keepdims=True), (H_ALL * VALUES[1]).sum(keepdims=True)),
    "which": (lambda h: at.argmax(-h, axis=0), (-H_ALL).argmax(axis=0)),
    "two of one": (
        lambda h: [(h**2).sum(axis=0), (h**2 + h).sum(axis=0), h.sum(axis=0)],
        [(H_ALL**2).sum(axis=0), (H_ALL**2 + H_ALL).sum(axis=0), H_ALL.sum(axis=0)],
    ),
    "and its last": (lambda h: [(h**2).sum(axis=0), h[-1]], [(H_ALL**2).sum(axis=0), H_ALL[-1]]),
    "whole numbers": (lambda h: (h > 0).sum(axis=0), (H_ALL > 0).sum(axis=0)),
}


class TestValues:
    @pytest.mark.parametrize("name", TERMS)
    def test_no_stack_is_kept(self, name):
        make, expected = TERMS[name]
        f, found = run(make)
        for one, other in zip(*((v if isinstance(v, list) else [v]) for v in (found, expected)), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-12)
            assert one.dtype == other.dtype
        assert stacks(f) == 0
        assert "the operands of reductions over steps are computed at each step" in str(loopjax.explain(f))

    def test_backwards(self):
        f, found = run(lambda h: ((h - Y) ** 2).sum(axis=0), go_backwards=True)
        expected = ((states(VALUES[0][::-1], VALUES[1]) - VALUES[2]) ** 2).sum(axis=0)
        np.testing.assert_allclose(found, expected, rtol=1e-12)
        assert stacks(f) == 0

    @pytest.mark.parametrize("lengths", ["exact", "padded"])
    def test_where_until_decides_the_length(self, lengths):
        start = at.dscalar("start")
        h, _ = loopjax.scan(lambda h: (2 * h, loopjax.until(h > 40.0)), outputs_info=start, n_steps=50)
        f = loopjax.function([start], [((h - 1) ** 2).mean(), abs(h).max()], lengths=lengths)
        powers = 1.5 * 2.0 ** np.arange(1, 7)
        np.testing.assert_allclose(f(1.5), [((powers - 1) ** 2).mean(), powers.max()], rtol=1e-13)
        assert len(f.stages) == 1
        assert stacks(f) == 0

    def test_where_the_length_is_a_value(self):
        k = at.iscalar("k")
        h, _ = loopjax.scan(lambda h: 0.5 * h + 1, outputs_info=H, n_steps=k)
        f = loopjax.function([H, k], (3 * h**2).sum(axis=0))
        for steps in (0, 1, 5):
            expected, now = np.zeros(N), VALUES[1]
            for _ in range(steps):
                now = 0.5 * now + 1
                expected = expected + 3 * now**2
            np.testing.assert_allclose(f(VALUES[1], steps), expected, rtol=1e-13)
        assert stacks(f) == 0

    def test_of_two_loops(self):
        h, _ = loopjax.scan(step, sequences=X, outputs_info=H)
        g, _ = loopjax.scan(lambda x, g: at.tanh(g * x), sequences=Y, outputs_info=H)
        f = loopjax.function([X, H, Y], [((h - g) ** 2).sum(axis=0), (h * g).sum()], lengths="exact")
        other, now = [], VALUES[1]
        for row in VALUES[2]:
            now = np.tanh(now * row)
            other.append(now)
        found = f(*VALUES)
        np.testing.assert_allclose(found[0], ((H_ALL - other) ** 2).sum(axis=0), rtol=1e-12)
        np.testing.assert_allclose(found[1], (H_ALL * other).sum(), rtol=1e-12)
        assert stacks(f) == 0  # which are one
        apart = loopjax.function(
            [X, H, Y], [((h - g) ** 2).sum(axis=0)], lengths="exact", mode=loopjax.Mode().excluding("loop_fusion")
        )
        np.testing.assert_allclose(apart(*VALUES)[0], found[0], rtol=1e-12)
        assert stacks(apart) == 1

    def test_a_vector_that_is_a_row_to_one_term_and_whole_to_another(self):
        x, y, s = at.dmatrix("x"), at.dvector("y"), at.dscalar("s")
        (h, t), _ = loopjax.scan(lambda x, h, s: (0.5 * h + x, 0.5 * s + x.sum()), sequences=x, outputs_info=[H, s])
        values = VALUES[0][:N], VALUES[1], RNG.normal(size=N), 0.3
        rows, sums, now, total = [], [], values[1], 0.3
        for row in values[0]:
            now, total = 0.5 * now + row, 0.5 * total + row.sum()
            rows.append(now)
            sums.append(total)
        expected = [((np.array(rows) * values[2]) ** 2).sum(axis=0), ((np.array(sums) * values[2]) ** 2).sum()]
        outputs = [((h * y) ** 2).sum(axis=0), ((t * y) ** 2).sum()]
        for order in (slice(None), slice(None, None, -1)):
            f = loopjax.function([x, H, y, s], outputs[order], lengths="exact")
            for one, other in zip(f(*values), expected[order], strict=True):
                np.testing.assert_allclose(one, other, rtol=1e-12)
            assert stacks(f) == 0

    def test_in_an_inner_loop(self):
        def outer(h):
            inner, _ = loopjax.scan(lambda u: 0.5 * u + 1, outputs_info=h, n_steps=3)
            return ((inner - h) ** 2).sum(axis=0)

        h, _ = loopjax.scan(outer, outputs_info=H, n_steps=2)
        f = loopjax.function([H], h[-1])
        now = VALUES[1]
        for _ in range(2):
            u, start, now = now, now, 0
            for _ in range(3):
                u = 0.5 * u + 1
                now = now + (u - start) ** 2
        np.testing.assert_allclose(f(VALUES[1]), now, rtol=1e-13)
        assert stacks(f) == 0

    def test_python_numbers_keep_their_dtype(self):
        x = at.fvector("x")
        h, _ = loopjax.scan(lambda x, h: h + x, sequences=x, outputs_info=at.constant(np.float32(0)))
        f = loopjax.function([x], (2 * h).sum())
        found = f(np.arange(4, dtype="float32"))
        assert found == 20
        assert found.dtype == "float32"
        assert stacks(f) == 0


class TestWhich:
    def kept(self, make):
        return stacks(run(make)[0])

    def test_not_what_needs_the_loop_to_have_ended(self):
        f, found = run(lambda h: ((h - h.mean(axis=0)) ** 2).mean(axis=0))
        np.testing.assert_allclose(found, H_ALL.var(axis=0), rtol=1e-12)
        assert stacks(f) == 1

    def test_not_where_the_stack_is_kept_anyway(self):
        assert self.kept(lambda h: [h, (h**2).sum(axis=0)]) == 1
        assert self.kept(lambda h: [h[1:] * 2, (h**2).sum(axis=0)]) == 1

    def test_not_where_a_part_is_read_otherwise(self):
        assert self.kept(lambda h: [s := h**2, s.sum(axis=0)]) == 1

    def test_not_of_functions_that_are_dear(self):
        assert self.kept(lambda h: at.exp(h).sum(axis=0)) == 1

    def test_not_along_other_axes(self):
        assert self.kept(lambda h: (h**2).sum(axis=1)) == 1

    def test_not_of_terms_shifted_against_each_other(self):
        f, found = run(lambda h: ((h[1:] - h[:-1]) ** 2).sum(axis=0))
        np.testing.assert_allclose(found, (np.diff(H_ALL, axis=0) ** 2).sum(axis=0), rtol=1e-12)
        assert stacks(f) == 1

    def test_not_under_a_derivative(self):
        f, found = run(lambda h: loopjax.grad(((h - Y) ** 2).sum(), H))
        assert np.isfinite(found).all()
        assert "reductions over steps read" not in str(loopjax.explain(f))

    def test_left_out_by_name(self):
        h, _ = loopjax.scan(step, sequences=X, outputs_info=H)
        f = loopjax.function(
            [X, H], (h**2).sum(axis=0), mode=loopjax.Mode().excluding("producer_fusion"), lengths="exact"
        )
        f(*VALUES[:2])
        assert stacks(f) == 1


def test_before_and_after() -> None:
    x, h, y = float64("x", 4), float64("h"), float64("y", 4)
    out, _ = loopjax.scan(lambda x, h: h * x, sequences=x, outputs_info=h)
    assert text(sized_graph([x, h, y], [((out - y) ** 2).sum()])) == lines("""
        input x : float64(4,)
        input h : float64()
        input y : float64(4,)
        %0 = scan 'scan'[steps=4, sequence[0], recurrence[-1] keeps all](x, h) : float64(4,)
            input 0.x[t] : float64()
            input 0.h[t-1] : float64()
            %0.0 = mul(0.h[t-1], 0.x[t]) : float64()
            return %0.0
        %1 = sub(%0, y) : float64(4,)
        %2 = integer_pow[exponent=2](%1) : float64(4,)
        %3 = sum[axis=(0,), dtype=float64, keepdims=False](%2) : float64()
        return %3""")
    assert text(after([FuseProducers(sized=True)], [x, h, y], [((out - y) ** 2).sum()])) == lines("""
        input x : float64(4,)
        input h : float64()
        input y : float64(4,)
        %0 = scan 'scan'[steps=4, sequence[0], sequence[0], recurrence[-1] keeps all, map keeps all](x, y, h) : float64(4,), float64(4,)
            input 0.x[t] : float64()
            input 0.in1 : float64()
            input 0.h[t-1] : float64()
            %0.0 = mul(0.h[t-1], 0.x[t]) : float64()
            %0.1 = sub(%0.0, 0.in1) : float64()
            %0.2 = integer_pow[exponent=2](%0.1) : float64()
            return %0.0, %0.2
        %1 = sum[axis=(0,), dtype=float64, keepdims=False](%0:1) : float64()
        return %1""")  # noqa: E501 - the line of the loop


@pytest.mark.parametrize(
    ("ops", "limits", "fuses"),
    [
        (3, {"most_nodes": 3}, True),
        (3, {"most_nodes": 2}, False),
        (3, {"most_reached": 4}, True),
        (3, {"most_reached": 3}, False),
        (16, {}, True),
        (17, {}, False),
    ],
)
def test_ops_of_a_producer(ops, limits, fuses) -> None:
    x, h = float64("x", 4), float64("h")
    out, _ = loopjax.scan(lambda x, h: h * x, sequences=x, outputs_info=h)
    value = out
    for number in range(ops):
        value = value + float(number)
    assert rewrites(FuseProducers(sized=True, **limits), [x, h], [value.sum()]) is fuses


@pytest.mark.parametrize("n_steps", [1, 2])
def test_not_of_one_step(n_steps) -> None:
    h = float64("h")
    out, _ = loopjax.scan(lambda h: h * h, outputs_info=h, n_steps=n_steps)
    assert rewrites(FuseProducers(sized=True), [h], [(out * 2).sum()]) is (n_steps > 1)


def test_of_two_loops_that_read_one_another_one_takes_in_the_other() -> None:
    x, h = float64("x", 4), float64("h")
    a, _ = loopjax.scan(lambda x, h: h * x, sequences=x, outputs_info=h)
    b, _ = loopjax.scan(lambda x, h: h + x, sequences=x, outputs_info=h)
    graph = after([FuseProducers(sized=True)], [x, h], [(a * b).sum(), (a - b).max()])
    first, second = scans(graph)
    assert [len(first.maps), len(second.maps)] in ([2, 0], [0, 2])
