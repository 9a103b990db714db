"""Recorded derivatives as differentiated regions."""

import loopjax
import loopjax.tensor as at
from loopjax.rewrite.cse import EliminateCommonSubexpressions
from loopjax.rewrite.differentiate import FormDifferentiatedRegions
from tests.rewrite.sized import lines, symbolically


def test_gradients_asked_one_by_one_are_one_region():
    x, h = at.dvector("x"), at.dscalar("h")
    y = at.exp(x) * h
    cost = y.sum()
    outputs = [cost, y, loopjax.grad(cost, x), loopjax.grad(cost, h)]
    assert symbolically(
        [EliminateCommonSubexpressions(), FormDifferentiatedRegions(), EliminateCommonSubexpressions()],
        [x, h],
        outputs,
    ) == lines("""
        input x : float64(?,)
        input h : float64()
        %0 = linearize[wrt=2, costs=1](x, h) : float64(), float64(?,), residual()
            input 0.x : float64(?,)
            input 0.h : float64()
            %0.0 = exp(0.x) : float64(?,)
            %0.1 = mul(%0.0, 0.h) : float64(?,)
            %0.2 = sum[axis=(0,), dtype=float64, keepdims=False](%0.1) : float64()
            return %0.2, %0.1
        %1 = pullback(%0:2, 1.) : float64(?,), float64()
        return %0:0, %0:1, %1:0, %1:1""")


def test_an_inner_variable_is_marked():
    x = at.dvector("x")
    y = at.exp(x)
    cost = (y**2).sum()
    text = symbolically([FormDifferentiatedRegions()], [x], [loopjax.grad(cost, x), loopjax.grad(cost, y)])
    assert "perturb[index=0]" in text
    assert text.count("linearize[") == 1


def test_costs_that_share_work_share_a_region_and_others_do_not():
    x, w = at.dvector("x"), at.dvector("w")
    y = at.exp(x)
    shared = [loopjax.grad(y.sum(), x), loopjax.grad((y**2).sum(), x)]
    assert (
        symbolically([EliminateCommonSubexpressions(), FormDifferentiatedRegions()], [x], shared).count("linearize[")
        == 1
    )
    apart = [loopjax.grad(y.sum(), x), loopjax.grad(at.sin(w).sum(), w)]
    assert (
        symbolically([EliminateCommonSubexpressions(), FormDifferentiatedRegions()], [x, w], apart).count("linearize[")
        == 2
    )


def test_a_gradient_of_a_gradient_nests():
    x = at.dscalar("x")
    second = loopjax.grad(loopjax.grad(at.sin(x), x), x)
    text = symbolically([FormDifferentiatedRegions()], [x], [second])
    assert text.count("linearize[") == 2
    assert "gradient(" not in text
