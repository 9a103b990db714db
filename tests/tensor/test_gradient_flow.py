"""Identities that change what flows back: their values, and their derivatives in both modes, in loops too."""

import numpy as np
import pytest

import loopjax
import loopjax.tensor as at


class TestConstants:
    @pytest.mark.parametrize("name", ["zero_grad", "consider_constant", "disconnected_grad"])
    def test_nothing_flows_back(self, name):
        x = at.dvector("x")
        held = getattr(at, name)(x**2)
        found = loopjax.function([x], [held, loopjax.grad((held * x).sum(), x), loopjax.Rop(held * x, x, [1.0, 1.0])])
        value, slope, along = found([2.0, 3.0])
        np.testing.assert_array_equal(value, [4, 9])
        np.testing.assert_array_equal(slope, [4, 9])
        np.testing.assert_array_equal(along, [4, 9])

    @pytest.mark.parametrize("name", ["zero_grad", "consider_constant"])
    def test_zero_is_connected(self, name):
        x = at.dvector("x")
        zero = loopjax.grad(getattr(at, name)(x).sum(), x)
        np.testing.assert_array_equal(zero.eval({x: [2.0, 3.0]}), [0, 0])

    def test_disconnected_is_not(self):
        x = at.dvector("x")
        cost = at.disconnected_grad(x).sum()
        with pytest.raises(loopjax.errors.DisconnectedInputError):
            loopjax.grad(cost, x)
        assert loopjax.grad(cost, x, disconnected_inputs="ignore", return_disconnected="none") is None
        with pytest.raises(loopjax.errors.DisconnectedInputError):
            loopjax.Rop(cost, x, x)

    def test_in_a_loop(self):
        x = at.dscalar("x")
        out, _ = loopjax.scan(lambda h, x: at.zero_grad(h) * x, outputs_info=x, non_sequences=x, n_steps=3)
        np.testing.assert_allclose(loopjax.function([x], loopjax.grad(out[-1], x))(2.0), 2.0**3)


class TestClip:
    def test_each_element_in_each_step(self):
        x = at.dvector("x")
        clipped = at.grad_clip(x, -0.5, 1)
        f = loopjax.function([x], [clipped, loopjax.grad((clipped * [3.0, -3.0, 0.25]).sum(), x)])
        value, slope = f([1.0, 2.0, 3.0])
        np.testing.assert_array_equal(value, [1, 2, 3])
        np.testing.assert_array_equal(slope, [1, -0.5, 0.25])

    @pytest.mark.parametrize("checkpoint", [None, 2])
    def test_in_a_loop(self, checkpoint):
        h = at.dscalar("h")
        out, _ = loopjax.scan(lambda h: at.grad_clip(h, -5, 5) * 3, outputs_info=h, n_steps=4, checkpoint=checkpoint)
        f = loopjax.function([h], [out[-1], loopjax.grad(out[-1], h)])
        assert [float(v) for v in f(1.0)] == [81.0, 5.0]

    def test_second_derivatives_see_the_clipping(self):
        x = at.dvector("x")
        slope = loopjax.grad((at.grad_clip(x, -1, 1) ** 2).sum(), x)
        found = loopjax.function([x], [slope, loopjax.jacobian(slope, x), loopjax.Rop(slope, x, at.ones_like(x))])
        first, second, along = found([0.25, 3.0])
        np.testing.assert_allclose(first, [0.5, 1])
        np.testing.assert_allclose(second, [[2, 0], [0, 0]])
        np.testing.assert_allclose(along, [2, 0])

    def test_what_it_takes(self):
        x = at.dvector("x")
        with pytest.raises(ValueError, match=r"lower_bound 1.0 is above upper_bound 0.0 \[test_gradient_flow.py"):
            at.grad_clip(x, 1, 0)
        with pytest.raises(TypeError, match="lower_bound is a number"):
            at.grad_clip(x, x, 1)
        assert at.grad_clip(at.lvector(), 0, 1).dtype == "int64"


class TestScale:
    def test_both_modes_and_orders(self):
        x = at.dscalar("x")
        y = at.grad_scale(x, -2) ** 3
        outputs = [y, loopjax.grad(y, x), loopjax.Rop(y, x, 1.0), loopjax.grad(loopjax.grad(y, x), x)]
        found = [float(v) for v in loopjax.function([x], outputs)(2.0)]
        assert found == [8.0, -24.0, -24.0, -24.0]  # the slope is -6 x**2, and that has the slope -12 x

    def test_keeps_float32(self):
        x = at.fscalar("x")
        assert loopjax.grad(at.grad_scale(x, 0.1), x).eval({x: 1.0}).dtype == "float32"
