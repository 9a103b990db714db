"""Trip counts that stay values at run time, so that one compiled loop serves every number of steps."""

import pytest

import loopjax
import loopjax.tensor as at
from loopjax.rewrite.differentiate import FormDifferentiatedRegions
from loopjax.rewrite.dynamic_trip_count import DynamicTripCount
from loopjax.rewrite.pipeline import symbolic
from loopjax.rewrite.saved_steps import SaveReadSteps
from tests.rewrite.powers import power
from tests.rewrite.sized import lines, symbolically


class TestTripCount:
    def test_a_value_stays_one(self):
        k = at.lscalar("k")
        h, outputs = power(k, [lambda o: o[-2]])
        assert "steps=value" in symbolically([SaveReadSteps(), DynamicTripCount()], [h, k], outputs)

    @pytest.mark.parametrize("reads", [[lambda o: o], [lambda o: o[-2:]]])
    def test_not_where_a_shape_depends_on_it(self, reads):
        k = at.lscalar("k")
        h, outputs = power(k, reads)
        assert "steps=length" in symbolically([SaveReadSteps(), DynamicTripCount()], [h, k], outputs)

    def test_not_where_it_follows_from_shapes(self):
        x = at.dvector("x")
        h, outputs = power(x.shape[0], [lambda o: o[-1]])
        assert "steps=length" in symbolically([SaveReadSteps(), DynamicTripCount()], [h, x], outputs)

    def test_not_under_a_gradient(self):
        k = at.lscalar("k")
        h, outputs = power(k, [lambda o: o[-1]])
        text = symbolically(symbolic(), [h, k], [loopjax.grad(outputs[0], h)])
        assert "steps=length" in text
        f = loopjax.function([h, k], loopjax.grad(outputs[0], h))
        assert [float(f(1.0, n)) for n in (1, 2, 5)] == [2.0, 4.0, 32.0]


def nested(per_step, gradient):
    """The text of a loop in a loop, whose length is an element of a vector for each step or one for all."""
    ks, n, x = at.lvector("ks"), at.lscalar("n"), at.dscalar("x")

    def outer(k, h, n):
        inner, _ = loopjax.scan(lambda g: g * 2, outputs_info=h, n_steps=k if per_step else n)
        return inner[-1]

    out, _ = loopjax.scan(outer, sequences=ks, outputs_info=x, non_sequences=n)
    passes = [FormDifferentiatedRegions(), SaveReadSteps(), DynamicTripCount()]
    return symbolically(passes, [ks, n, x], [loopjax.grad(out[-1], x) if gradient else out[-1]])


@pytest.mark.parametrize(
    ("per_step", "gradient", "dynamic"),
    [(True, False, True), (False, False, True), (True, True, True), (False, True, False)],
)
def test_in_a_body_that_stores_its_steps_only_lengths_that_vary(per_step, gradient, dynamic) -> None:
    assert ("steps=value" in nested(per_step, gradient)) is dynamic


def test_before_and_after() -> None:
    k, h = at.lscalar("k"), at.dscalar("h")
    out, _ = loopjax.scan(lambda h: h * 2, outputs_info=h, n_steps=k)
    assert symbolically([SaveReadSteps()], [h, k], [out[-1]]) == lines("""
        input h : float64()
        input k : int64()
        %0 = scan 'scan'[steps=length, recurrence[-1] keeps last 1](k, h) : float64(?,)
            input 0.h[t-1] : float64()
            %0.0 = mul(0.h[t-1], 2.) : float64()
            return %0.0
        %1 = index[-1](%0) : float64()
        return %1""")
    assert symbolically([SaveReadSteps(), DynamicTripCount()], [h, k], [out[-1]]) == lines("""
        input h : float64()
        input k : int64()
        %0 = scan 'scan'[steps=value, recurrence[-1] keeps last 1](k, h) : float64(1,)
            input 0.h[t-1] : float64()
            %0.0 = mul(0.h[t-1], 2.) : float64()
            return %0.0
        %1 = index[-1](%0) : float64()
        return %1""")


def test_a_length_that_the_device_computes_ends_a_stage() -> None:
    """Outside of bodies; the host must find a negative one."""
    k, h = at.dscalar("k"), at.dscalar("h")
    out, _ = loopjax.scan(lambda h: h * 2, outputs_info=h, n_steps=at.cast(at.exp(k), "int64"))
    assert "steps=length" in symbolically([SaveReadSteps(), DynamicTripCount()], [h, k], [out[-1]])
