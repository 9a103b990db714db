"""Trip counts that stay values at run time, so that one compiled loop serves every number of steps."""

import pytest

import loopjax
import loopjax.tensor as at
from loopjax.rewrite.dynamic_trip_count import DynamicTripCount
from loopjax.rewrite.pipeline import symbolic
from loopjax.rewrite.saved_steps import SaveReadSteps
from tests.rewrite.powers import power
from tests.rewrite.sized import symbolically


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
