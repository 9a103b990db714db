"""``logsumexp`` over a matrix that no step changes is a product: values, derivatives, and where it is one."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import loopjax
import loopjax.tensor as at
from loopjax.ir.cond import IfElse
from loopjax.rewrite.logsumexp import MultiplyExponentials
from loopjax.rewrite.target import Target
from tests.rewrite.sized import after, float64, lines, rewrites, sized_graph, text

N, STEPS = 33, 40
RNG = np.random.default_rng(5)
H, A, Y = at.dvector("h"), at.dmatrix("A"), at.dmatrix("Y")


def logs(*shape):
    return np.log(RNG.dirichlet(np.ones(shape[-1]), shape[:-1]))


START, MATRIX, SEEN = logs(N), logs(N, N), logs(STEPS, N)


def forward(y, h, a):
    return at.logsumexp(h.dimshuffle(0, "x") + a, axis=0) + y


def backward(y, h, a):
    return at.logsumexp(a + (h + y)[None, :], axis=1)


def kept(y, h, a):
    return at.logsumexp(y[:, None] + (a + h[:, None]), axis=0, keepdims=True)[0]


def chained(y, h, a):
    """The second sum reads what stands for the first."""
    return at.logsumexp(backward(y, h, a)[:, None] + 2 * a, axis=0)


def loop(step, h=H, **options):
    return loopjax.scan(step, sequences=Y, outputs_info=h, non_sequences=A, **options)[0]


def reference(step, h, a, ys):
    """A Python loop; ``step`` takes arrays as well as variables where it uses NumPy's names alone."""
    found = []
    for y in ys:
        h = step(y, h, a)
        found.append(h)
    return np.array(found)


def sums(f):
    """The choices between two forms of a loop in a program."""
    graphs = [f.stages[0].programs[-1].graph]
    for graph in graphs:
        graphs += [region for node in graph.applies for region in node.op.regions]
    return [node for graph in graphs for node in graph.applies if isinstance(node.op, IfElse)]


def both(inputs, outputs, *values):
    """What a function gives, with the rewrite and without."""
    f = loopjax.function(inputs, outputs)
    without = loopjax.function(inputs, outputs, mode=loopjax.Mode().excluding("logsumexp"))
    found, expected = f(*values), without(*values)
    assert sums(f)
    assert not sums(without)
    return f, found, expected


class TestValues:
    def test_against_a_python_loop(self):
        f = loopjax.function([Y, H, A], loop(forward))
        expected = reference(lambda y, h, a: np.logaddexp.reduce(h[:, None] + a, axis=0) + y, START, MATRIX, SEEN)
        np.testing.assert_allclose(f(SEEN, START, MATRIX), expected, rtol=1e-13)
        assert sums(f)

    @pytest.mark.parametrize("step", [forward, backward, kept, chained])
    def test_forms_and_gradients(self, step):
        h = loop(step)
        slopes = loopjax.grad((h[-1] ** 2).sum(), [Y, H, A])
        f, found, expected = both([Y, H, A], [h, *slopes], SEEN, START, MATRIX)
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-12)
        assert "logsumexp:" in str(loopjax.explain(f))

    def test_many_chains_at_once(self):
        h, y = at.dmatrix("h"), at.dtensor3("y")
        out, _ = loopjax.scan(
            lambda y, h, a: at.logsumexp(h[:, :, None] + a[None], axis=1) + y,
            sequences=y,
            outputs_info=h,
            non_sequences=A,
        )
        f, found, expected = both([y, h, A], out, logs(STEPS, 3, N), logs(3, N), MATRIX)
        np.testing.assert_allclose(found, expected, rtol=1e-13)
        assert sums(f)

    def test_second_derivatives(self):
        slope = loopjax.grad(loop(forward)[-1].sum(), H)
        _, found, expected = both([Y, H, A], loopjax.grad((slope**2).sum(), [H, A]), SEEN, START, MATRIX)
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-8, atol=1e-12)

    def test_second_derivatives_of_a_matrix_at_the_end_of_the_range(self):
        matrix = np.where(np.eye(N, dtype=bool), 0.0, -176.0)
        slope = loopjax.grad(loop(forward)[-1].sum(), A)
        _, found, expected = both([Y, H, A], loopjax.grad((slope**2).sum(), A), SEEN, START, matrix)
        # On the diagonal, terms as large as the squared number of steps cancel.
        np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-12 * STEPS**2)

    def test_forward_mode(self):
        h = loop(forward)[-1]
        _, found, expected = both([Y, H, A], loopjax.Rop(h, A, A), SEEN, START, MATRIX)
        np.testing.assert_allclose(found, expected, rtol=1e-10)

    def test_in_programs_for_jax_where_it_takes_no_derivative(self):
        """JAX batches the choice by running both, and does not take the transpose of that."""
        run = loopjax.to_jax([Y, H, A], loop(forward)[-1])
        without = loopjax.to_jax([Y, H, A], loop(forward)[-1], mode=loopjax.Mode().excluding("logsumexp"))
        with jax.enable_x64(True):
            matrices = jnp.stack([MATRIX, 2 * MATRIX])
            for f in (
                lambda run: jax.vmap(lambda a: run(SEEN, START, a))(matrices),
                lambda run: jax.vmap(lambda h: run(SEEN, h, MATRIX))(jnp.asarray(logs(4, N))),
                lambda run: jax.grad(lambda a: jax.vmap(lambda a: run(SEEN, START, a))(a).sum())(matrices),
                lambda run: jax.vmap(jax.grad(lambda a: run(SEEN, START, a).sum()))(matrices),
            ):
                RNG.bit_generator.state = np.random.default_rng(6).bit_generator.state
                found = f(run)
                RNG.bit_generator.state = np.random.default_rng(6).bit_generator.state
                np.testing.assert_allclose(found, f(without), rtol=1e-10, atol=1e-13)
            assert "exp" in str(jax.make_jaxpr(run)(SEEN, START, MATRIX))
            assert "cond" in str(jax.make_jaxpr(run)(SEEN, START, MATRIX))


class TestRange:
    """Where a product would lose what counts, the loop runs as it was written."""

    @pytest.mark.parametrize(
        "matrix",
        [
            pytest.param(np.where(np.tri(N, dtype=bool), -np.inf, MATRIX), id="forbidden"),
            pytest.param(np.where(np.eye(N, dtype=bool), -900.0, 0.0) + np.arange(N) * -100.0, id="far apart"),
            pytest.param(np.full((N, N), -np.inf), id="nothing allowed"),
            pytest.param(np.where(np.eye(N, dtype=bool), np.inf, MATRIX), id="infinite"),
            pytest.param(np.where(np.eye(N, dtype=bool), np.nan, MATRIX), id="no number"),
        ],
    )
    def test_as_it_was_written(self, matrix):
        _, found, expected = both([Y, H, A], loop(backward), SEEN, START, matrix)
        np.testing.assert_array_equal(found, expected)

    @pytest.mark.parametrize("value", [-np.inf, np.inf, np.nan, -2000.0, 5000.0])
    def test_of_states_anything_may_be_said(self, value):
        start = np.where(np.arange(N) < 5, value, START)
        _, found, expected = both([Y, H, A], loop(forward), SEEN, start, MATRIX)
        np.testing.assert_allclose(found, expected, rtol=1e-13)
        _, found, expected = both([Y, H, A], loop(forward), SEEN, np.full(N, value), MATRIX)
        np.testing.assert_allclose(found, expected, rtol=1e-13)

    def test_of_gradients_too(self):
        matrix = np.where(np.tri(N, k=-1, dtype=bool), -np.inf, MATRIX)
        slopes = loopjax.grad(at.logsumexp(loop(forward)[-1]), [Y, H, A])
        _, found, expected = both([Y, H, A], slopes, SEEN, START, matrix)
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-300)
        assert np.isfinite(found[1]).all()

    def test_no_gradient_of_what_is_not_used(self):
        """A column that nothing leads to, of a loop from which nothing flows back."""
        matrix = np.where(np.arange(N) == 4, -np.inf, MATRIX)
        slope = loopjax.grad(loop(forward, truncate_gradient=0)[-1].sum(), A)
        _, found, expected = both([Y, H, A], slope, SEEN, START, matrix)
        np.testing.assert_array_equal(found, expected)
        np.testing.assert_array_equal(found, 0)

    def test_float32_has_a_smaller_one(self):
        h, a, y = at.fvector("h"), at.fmatrix("a"), at.fmatrix("y")
        out, _ = loopjax.scan(forward, sequences=y, outputs_info=h, non_sequences=a)
        values = [one.astype("float32") for one in (SEEN, START)]
        for scale, equal in ((-20.0, False), (-22.0, True)):
            matrix = np.where(np.eye(N, dtype=bool), 0.0, scale).astype("float32")
            _, found, expected = both([y, h, a], out, *values, matrix)
            np.testing.assert_allclose(found, expected, rtol=2e-5)
            assert np.array_equal(found, expected) == equal


class TestWhich:
    def chosen(self, step, n=N, steps=STEPS, **options):
        f = loopjax.function([Y, H, A], loop(step, **options))
        f(logs(steps, n), logs(n), logs(n, n))
        return len(sums(f))

    def test_by_size(self):
        assert self.chosen(forward, 32) == 1
        assert self.chosen(forward, 31) == 0
        assert self.chosen(forward, steps=31) == 0
        assert self.chosen(forward, steps=0) == 0

    def test_with_until(self):
        step = lambda y, h, a: (forward(y, h, a), loopjax.until(h[0] > 0))  # noqa: E731
        assert self.chosen(step) == 1
        _, found, expected = both([Y, H, A], loop(step), SEEN, START, MATRIX)
        np.testing.assert_allclose(found, expected, rtol=1e-13)

    def test_not_a_matrix_that_changes(self):
        many = at.dtensor3("many")
        out, _ = loopjax.scan(lambda a, h: at.logsumexp(h[:, None] + a, axis=0), sequences=many, outputs_info=H)
        f = loopjax.function([many, H], out)
        f(logs(STEPS, N, N), START)
        assert not sums(f)

    def test_not_where_both_have_the_axis_of_results(self):
        assert self.chosen(lambda y, h, a: at.logsumexp(h[:, None] * a + a, axis=0) + y) == 0

    def test_not_along_both_axes(self):
        assert self.chosen(lambda y, h, a: at.logsumexp(h[:, None] + a, axis=(0, 1)) + y + h) == 0

    def test_checked_indices_leave_it_as_it_is(self):
        step = lambda i, h, a: at.logsumexp(h[:, None] + a, axis=0) + h[i]  # noqa: E731
        i = at.lvector("i")
        out, _ = loopjax.scan(step, sequences=i, outputs_info=H, non_sequences=A)
        f = loopjax.function([i, H, A], out, check="index")
        assert np.isfinite(f(np.zeros(STEPS, int), START, MATRIX)).all()
        with pytest.raises(IndexError):
            f(np.full(STEPS, N), START, MATRIX)


def test_before_and_after() -> None:
    h, a = float64("h", 2), float64("a", 2, 2)
    out, _ = loopjax.scan(
        lambda h, a: at.logsumexp(h.dimshuffle(0, "x") + a, axis=0), outputs_info=h, non_sequences=a, n_steps=3
    )
    assert text(sized_graph([h, a], [out])) == lines("""
        input h : float64(2,)
        input a : float64(2, 2)
        %0 = scan 'scan'[steps=3, recurrence[-1] keeps all](h, a) : float64(3, 2)
            input 0.h[t-1] : float64(2,)
            input 0.a : float64(2, 2)
            %0.0 = dimshuffle[pattern=(0, None)](0.h[t-1]) : float64(2, 1)
            %0.1 = add(%0.0, 0.a) : float64(2, 2)
            %0.2 = logsumexp[axis=(0,), dtype=float64, keepdims=False](%0.1) : float64(2,)
            return %0.2
        return %0""")
    assert text(after([MultiplyExponentials(least_size=4, least_steps=3)], [h, a], [out])) == lines("""
        input h : float64(2,)
        input a : float64(2, 2)
        %0 = dimshuffle[pattern=(0, 1)](a) : float64(2, 2)
        %1 = max[axis=(0,), dtype=float64, keepdims=False](%0) : float64(2,)
        %2 = zero_grad(%1) : float64(2,)
        %3 = sub(%0, %2) : float64(2, 2)
        %4 = ge(%3, -177.) : bool(2, 2)
        %5 = all[axis=(0, 1), dtype=bool, keepdims=False](%4) : bool()
        %6 = alloc[lengths=(2, 2)](0.) : float64(2, 2)
        %7 = switch(%5, %3, %6) : float64(2, 2)
        %8 = exp(%7) : float64(2, 2)
        %9 = ifelse(%5, h, a, %8, %2) : float64(3, 2)
            input 9.h : float64(2,)
            input 9.a : float64(2, 2)
            input 9.in2 : float64(2, 2)
            input 9.in3 : float64(2,)
            %9.0 = scan 'scan'[steps=3, recurrence[-1] keeps all](9.h, 9.a, 9.in2, 9.in3) : float64(3, 2)
                input 9.0.h[t-1] : float64(2,)
                input 9.0.a : float64(2, 2)
                input 9.0.in2 : float64(2, 2)
                input 9.0.in3 : float64(2,)
                %9.0.0 = dimshuffle[pattern=(0, None)](9.0.h[t-1]) : float64(2, 1)
                %9.0.1 = dimshuffle[pattern=(0,)](%9.0.0) : float64(2,)
                %9.0.2 = max[axis=(0,), dtype=float64, keepdims=True](%9.0.1) : float64(1,)
                %9.0.3 = zero_grad(%9.0.2) : float64(1,)
                %9.0.4 = isinf(%9.0.3) : bool(1,)
                %9.0.5 = switch(%9.0.4, 0., %9.0.3) : float64(1,)
                %9.0.6 = sub(%9.0.1, %9.0.5) : float64(2,)
                %9.0.7 = exp(%9.0.6) : float64(2,)
                %9.0.8 = dot(%9.0.7, 9.0.in2) : float64(2,)
                %9.0.9 = log(%9.0.8) : float64(2,)
                %9.0.10 = add(%9.0.9, 9.0.in3) : float64(2,)
                %9.0.11 = add(%9.0.10, %9.0.5) : float64(2,)
                %9.0.12 = dimshuffle[pattern=(0,)](%9.0.11) : float64(2,)
                return %9.0.12
            return %9.0
            input 9.h : float64(2,)
            input 9.a : float64(2, 2)
            input 9.in2 : float64(2, 2)
            input 9.in3 : float64(2,)
            %9.0 = scan 'scan'[steps=3, recurrence[-1] keeps all](9.h, 9.a) : float64(3, 2)
                input 9.0.h[t-1] : float64(2,)
                input 9.0.a : float64(2, 2)
                %9.0.0 = dimshuffle[pattern=(0, None)](9.0.h[t-1]) : float64(2, 1)
                %9.0.1 = add(%9.0.0, 9.0.a) : float64(2, 2)
                %9.0.2 = logsumexp[axis=(0,), dtype=float64, keepdims=False](%9.0.1) : float64(2,)
                return %9.0.2
            return %9.0
        return %9""")


@pytest.mark.parametrize(
    ("limits", "multiplies"),
    [
        ({}, True),
        ({"least_size": 5}, False),
        ({"least_steps": 4}, False),
        ({"target": Target("gpu")}, False),
        ({"target": Target(derivative="reverse")}, False),
    ],
)
def test_limits(limits, multiplies) -> None:
    h, a = float64("h", 2), float64("a", 2, 2)
    out, _ = loopjax.scan(
        lambda h, a: at.logsumexp(h.dimshuffle(0, "x") + a, axis=0), outputs_info=h, non_sequences=a, n_steps=3
    )
    step = MultiplyExponentials(**{"least_size": 4, "least_steps": 3, **limits})
    assert rewrites(step, [h, a], [out]) is multiplies


@pytest.mark.parametrize(
    ("states", "n_steps", "multiplies"), [(32, 32, True), (31, 32, False), (32, 31, False), (32, None, True)]
)
def test_limits_by_default(states, n_steps, multiplies) -> None:
    h, a, n = float64("h", states), float64("a", states, states), at.lscalar("n")
    out, _ = loopjax.scan(
        lambda h, a: at.logsumexp(h.dimshuffle(0, "x") + a, axis=0),
        outputs_info=h,
        non_sequences=a,
        n_steps=n if n_steps is None else n_steps,
    )
    assert rewrites(MultiplyExponentials(), [h, a, n], [out[-1]]) is multiplies
