"""Ops of the user's own: gradients of ``OpFromGraph``, views, and what ``perform`` raises."""

from __future__ import annotations

import numpy as np
import pytest

import loopjax.compat.aesara as aesara
import loopjax.compat.aesara.tensor as at
from loopjax.compat.aesara.compile.builders import OpFromGraph
from loopjax.compat.aesara.gradient import DisconnectedType
from loopjax.compat.aesara.graph.basic import Apply
from loopjax.compat.aesara.graph.op import Op
from loopjax.compat.aesara.raise_op import Assert, CheckAndRaise

ONES, TWOS = np.array([1.0, 2.0]), np.array([3.0, 4.0])


def slopes(op, count=1):
    x, y = at.dvectors("x", "y")
    cost = op(x, y).sum()
    return aesara.function([x, y], aesara.grad(cost, [x, y][:count]), on_unused_input="ignore")(ONES, TWOS)


def test_a_list_has_a_gradient_for_each_input():
    x, y = at.dvectors("x", "y")
    op = OpFromGraph([x, y], [x * y], grad_overrides=["default", lambda inputs, gs: 7 * gs[0] * inputs[0]])
    np.testing.assert_allclose(slopes(op, 2), [TWOS, 7 * ONES])
    op = OpFromGraph([x, y], [x * y], lop_overrides=[lambda inputs, outputs, gs: outputs[0] * gs[0], None])
    np.testing.assert_allclose(slopes(op, 2), [ONES * TWOS, ONES])


def test_a_gradient_is_a_graph_or_disconnected():
    x, y, g = at.dvectors("x", "y", "g")
    op = OpFromGraph([x, y], [x * y], grad_overrides=OpFromGraph([x, y, g], [g * 5, g * y * y]))
    np.testing.assert_allclose(slopes(op, 2), [[5, 5], TWOS**2])
    op = OpFromGraph([x, y], [x * y], grad_overrides=["default", DisconnectedType()()])
    np.testing.assert_allclose(slopes(op), [TWOS])


@pytest.mark.parametrize("wrong", [["default"], [3, "default"], 5])
def test_what_is_no_gradient_is_refused(wrong):
    x, y = at.dvectors("x", "y")
    with pytest.raises((TypeError, ValueError), match="OpFromGraph"):
        OpFromGraph([x, y], [x * y], lop_overrides=wrong)


def test_a_view_passes_its_input_on_and_has_a_gradient_of_its_own():
    class Reversed(aesara.compile.ViewOp):
        def grad(self, inputs, output_gradients):
            return [-output_gradients[0]]

    x = at.dvector("x")
    passed = Reversed()(x)
    found = aesara.function([x], [passed, aesara.grad((3 * passed).sum(), x)])(ONES)
    np.testing.assert_allclose(found, [ONES, [-3, -3]])


class Root(Op):
    def make_node(self, x):
        return Apply(self, [at.as_tensor_variable(x)], [at.dvector()])

    def perform(self, node, inputs, outputs):
        if (inputs[0] < 0).any():
            raise LookupError("no root of a negative number")
        outputs[0][0] = np.sqrt(inputs[0])


def test_an_exception_of_perform_reaches_the_caller_and_state_stays():
    x, count = at.dvector("x"), aesara.shared(0)
    run = aesara.function([x], Root()(x), updates=[(count, count + 1)])
    with pytest.raises(LookupError, match="no root of a negative number"):
        run([-1.0, 1.0])
    np.testing.assert_allclose(run([4.0, 9.0]), [2, 3])
    assert count.get_value() == 1


@pytest.mark.parametrize(
    ("check", "kind"),
    [(Assert("x is negative"), AssertionError), (CheckAndRaise(ZeroDivisionError, "x is negative"), ZeroDivisionError)],
)
def test_a_failed_check_raises_its_own_message(check, kind):
    x = at.dvector("x")
    run = aesara.function([x], check(x, at.ge(x, 0).all()))
    np.testing.assert_allclose(run(ONES), ONES)
    with pytest.raises(kind, match="x is negative"):
        run(-ONES)


def test_elementwise_ops_of_python_numbers_have_their_own_gradient():
    class Ramp(aesara.scalar.UnaryScalarOp):
        def impl(self, x):
            return max(x, 0)

        def grad(self, inputs, output_gradients):
            return [output_gradients[0] * at.gt(inputs[0], 0) * 3]

    class Total(aesara.scalar.BinaryScalarOp):
        def impl(self, x, y):
            return x + 2 * y

        def grad(self, inputs, output_gradients):
            return [output_gradients[0], 2 * output_gradients[0]]

    x, y = at.dvector("x"), at.dscalar("y")
    ramp = at.Elemwise(Ramp(aesara.scalar.same_out_nocomplex, name="ramp"), name="ramp")
    total = at.Elemwise(Total(aesara.scalar.upgrade_to_float, name="total"))
    out = total(ramp(x), y)
    f = aesara.function([x, y], [out, *aesara.grad(out.sum(), [x, y])])
    found = f(np.array([-1.0, 2.0]), 5.0)
    for value, expected in zip(found, ([10.0, 12.0], [0.0, 3.0], 4.0), strict=True):
        np.testing.assert_allclose(value, expected)


def test_elementwise_ops_of_integers_have_the_type_that_they_prefer():
    class Half(aesara.scalar.UnaryScalarOp):
        def impl(self, x):
            return x / 2

    class HalfOfFloats(Half):
        output_types_preference = staticmethod(aesara.scalar.upgrade_to_float)

    x = at.ivector("x")
    halves = [Half(aesara.scalar.upgrade_to_float)(x), HalfOfFloats()(x), Half(aesara.scalar.same_out)(x)]
    given = np.array([1, 2, 3], "int32")
    for found, expected in zip(aesara.function([x], halves)(given), (given / 2, given / 2, given // 2), strict=True):
        np.testing.assert_array_equal(found, expected)
        assert found.dtype == expected.dtype


def test_second_derivatives_of_ops_on_the_host():
    class Square(aesara.scalar.UnaryScalarOp):
        def impl(self, x):
            return x * x

        def grad(self, inputs, output_gradients):
            return [output_gradients[0] * 2 * inputs[0]]

    x = at.dvector("x")
    slope = aesara.grad((Square()(x) ** 2).sum(), x)
    f = aesara.function([x], [slope, aesara.grad(slope.sum(), x)])
    np.testing.assert_allclose(f(np.array([1.0, 2.0])), [[4, 32], [12, 48]])


def test_a_subclass_of_elemwise_has_its_own_gradient():
    class StraightThrough(at.Elemwise):
        def grad(self, inputs, output_gradients):
            return [5 * output_gradients[0]]

    x = at.dvector("x")
    rounded = StraightThrough(aesara.scalar.floor)(x)
    found = aesara.function([x], [rounded, aesara.grad(rounded.sum(), x)])(np.array([1.5, -0.5]))
    np.testing.assert_allclose(found, [[1, -1], [5, 5]])
    assert isinstance(at.exp(x).owner.op, at.Elemwise)
    assert isinstance(StraightThrough(aesara.scalar.floor), at.Elemwise)


def test_an_op_of_c_code_alone_says_so():
    class Rounded(aesara.scalar.UnaryScalarOp):
        def c_code(self, node, name, inputs, outputs, sub):
            return "z = round(x);"

    x = at.dvector("x")
    f = aesara.function([x], at.Elemwise(Rounded())(x))
    with pytest.raises(Exception, match=r"Rounded has no impl\(self, \*numbers\)"):
        f(ONES)
