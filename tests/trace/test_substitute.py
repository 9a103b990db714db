"""Substitution: clone_replace, and what it refuses."""

import numpy as np
import pytest

import loopjax
import loopjax.tensor as at
from loopjax.errors import UnsupportedError


def test_all_replacements_are_made_at_once():
    x, y = at.dscalar("x"), at.dscalar("y")
    swapped = loopjax.clone_replace(x - y, {x: y, y: x})
    assert float(swapped.eval({x: 1.0, y: 3.0})) == 2.0


def test_pairs_and_lists():
    x, y = at.dscalar("x"), at.dscalar("y")
    a, b = loopjax.clone_replace([x + 1, x * 2], [(x, y)])
    assert (float(a.eval({y: 3.0})), float(b.eval({y: 3.0}))) == (4.0, 6.0)
    with pytest.raises(ValueError, match=r"replaces <x: .* twice"):
        loopjax.clone_replace(x, [(x, y), (x, y)])


def test_types_must_agree_unless_they_are_cast():
    x, y = at.dvector("x"), at.fvector("y")
    with pytest.raises(TypeError, match=r"replace replaces <x: .* by float32.*astype"):
        loopjax.clone_replace(x, {x: y})
    assert loopjax.clone_replace(x * 2, {x: y}, rebuild_strict=False).dtype == "float64"
    with pytest.raises(TypeError, match="1 dimensions"):
        loopjax.clone_replace(x, {x: at.dscalar()}, rebuild_strict=False)


def test_two_variables_replaced_by_one_stay_two_for_a_gradient():
    x, y, z = at.dscalar("x"), at.dscalar("y"), at.dscalar("z")
    slope = loopjax.clone_replace(loopjax.grad(x * x * y, x), {x: z, y: z})
    assert float(slope.eval({z: 3.0})) == 18.0


def test_a_gradient_s_path_is_not_cut():
    x = at.dscalar("x")
    middle = at.sin(x)
    slope = loopjax.grad(at.exp(middle), x)
    with pytest.raises(UnsupportedError, match="a gradient flows through"):
        loopjax.clone_replace(slope, {middle: at.dscalar("y")})


def test_givens_replace_values_on_a_gradient_s_path():
    """The derivative of sin is at the point, that of exp at the value that is given."""
    x = at.dscalar("x")
    middle = at.sin(x)
    f = loopjax.function([x], loopjax.grad(at.exp(middle), x), givens={middle: at.constant(0.0, dtype="float64")})
    np.testing.assert_allclose(f(0.5), np.cos(0.5))


class TestWhatIsNotInTheGraph:
    def test_a_variable_that_nothing_depends_on(self):
        x, y = at.dscalar("x"), at.dscalar("y")
        with pytest.raises(
            ValueError, match=r"clone_replace: replace replaces <y: .*nothing that is computed depends on"
        ):
            loopjax.clone_replace(x + 1, {y: 2.0})
        with pytest.raises(loopjax.errors.UnusedInputError, match=r"givens replaces <y: .*on_unused_input='ignore'"):
            loopjax.function([x], x + 1, givens={y: 2.0})
        assert float(loopjax.function([x], x + 1, givens={y: 2.0}, on_unused_input="ignore")(1.0)) == 2

    def test_a_variable_made_inside_of_fn(self):
        x, made = at.dvector("x"), []

        def step(v):
            made.append(v * 2)
            return made[0] + 1

        out, _ = loopjax.scan(step, x)
        message = r"<mul: .* was made inside of fn of scan 'step' \[test_substitute.py:\d+\]"
        with pytest.raises(ValueError, match=message):
            loopjax.clone_replace(out, {made[0]: at.dscalar("z")})
        with pytest.raises(ValueError, match=message):
            loopjax.function([x], out, givens={made[0]: 3.0})

    def test_a_variable_that_leaked_out_of_fn(self):
        x, made = at.dvector("x"), []

        def step(v):
            made.append(v * 2)
            return v

        loopjax.scan(step, x)
        message = (
            r"<mul: .*\[test_substitute.py:\d+\] needs <x\[t\]: .* fn of scan 'step'.*return what you need from fn"
        )
        with pytest.raises(loopjax.errors.MissingInputError, match=message):
            loopjax.function([x], made[0] + 1)
