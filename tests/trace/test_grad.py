"""The options of ``grad``: what counts as connected, what is held constant, where the backward pass starts."""

import numpy as np
import pytest

import loopjax
import loopjax.tensor as at
from loopjax.errors import DisconnectedInputError


class TestConnection:
    @pytest.mark.parametrize(
        "cost",
        [
            lambda x: x.shape[0] * 1.0,
            lambda x: (at.zeros_like(x) + 1.0).sum(),
            lambda x: at.disconnected_grad(x).sum(),
            lambda x: at.dscalar() * 2,
        ],
        ids=["shape", "zeros_like", "disconnected_grad", "another"],
    )
    def test_what_does_not_depend(self, cost):
        x = at.dvector("x")
        with pytest.raises(DisconnectedInputError, match=r"grad with respect to <x: .*does not depend on it"):
            loopjax.grad(cost(x).astype("float64"), x)

    def test_a_shape_beside_a_value_is_no_hindrance(self):
        x = at.dvector("x")
        mean = x.sum() / x.shape[0]
        np.testing.assert_allclose(loopjax.grad(mean, x).eval({x: [1.0, 2.0]}), [0.5, 0.5])

    @pytest.mark.parametrize("function", [loopjax.grad, loopjax.jacobian])
    def test_a_warning_points_at_the_caller(self, function):
        x, y = at.dscalar("x"), at.dscalar("y")
        with pytest.warns(UserWarning, match="does not depend on it") as caught:
            function(y * 1, x, disconnected_inputs="warn")
        assert caught[0].filename == __file__

    def test_what_stands_for_the_disconnected(self):
        x, y = at.dvector("x"), at.dscalar("y")
        options = {"disconnected_inputs": "ignore"}
        assert loopjax.grad(y * 1, (x, y), return_disconnected="none", **options)[0] is None
        assert loopjax.grad(y * 1, x, return_disconnected="disconnected", **options) is None
        zeros, one = loopjax.grad(y * 1, [x, y], **options)
        found = loopjax.function([x, y], [zeros, one], on_unused_input="ignore")([1.0, 2.0], 3.0)
        np.testing.assert_array_equal(found[0], [0, 0])
        assert float(found[1]) == 1.0

    @pytest.mark.parametrize(
        ("option", "value"), [("disconnected_inputs", "maybe"), ("return_disconnected", "nothing")]
    )
    def test_no_other_choice(self, option, value):
        x = at.dscalar("x")
        with pytest.raises(ValueError, match=rf"{option} is .* not '{value}'"):
            loopjax.grad(x, x, **{option: value})

    def test_many_wrt_are_read_in_one_walk(self, monkeypatch):
        from loopjax.ir import connection as module

        walks = []
        monkeypatch.setattr(module, "toposort", lambda *args: walks.append(1) or loopjax.ir.graph.toposort(*args))
        inputs = [at.dscalar() for _ in range(50)]
        loopjax.grad(sum(at.sin(x) for x in inputs), inputs)
        assert len(walks) == 1


class TestKnownGradients:
    def loop(self):
        x = at.dvector("x")
        out, _ = loopjax.scan(lambda a, h: h * a, sequences=x, outputs_info=at.constant(1.0, dtype="float64"))
        return x, out

    def test_of_a_scan_s_output_alone(self):
        x, out = self.loop()
        found = loopjax.function([x], loopjax.grad(None, x, known_grads={out: np.array([0.0, 1.0])}))([2.0, 3.0])
        np.testing.assert_allclose(found, [3, 2])

    def test_beside_a_cost_they_are_the_whole(self):
        x, out = self.loop()
        cost = (out**2).sum() + x.sum()
        found = loopjax.function([x], loopjax.grad(cost, x, known_grads={out: out * 0}))([2.0, 3.0])
        np.testing.assert_allclose(found, [1, 1])

    def test_numbers_and_narrower_dtypes_are_cast_wider_ones_refused(self):
        x = at.dvector("x")
        y = x.sum()
        assert float(loopjax.grad(None, y, known_grads={y: 3}).eval({x: [1.0]})) == 3.0
        loopjax.grad(None, x, known_grads={y: at.fscalar()})
        z = at.fscalar("z")
        with pytest.raises(TypeError, match=r"known_grads gives float64\(\) .*expected float32"):
            loopjax.grad(None, z, known_grads={z: at.dscalar()})
        with pytest.raises(TypeError, match="known_grads gives"):
            loopjax.grad(None, x, known_grads={x: 1.0})

    def test_nothing_to_start_from(self):
        with pytest.raises(ValueError, match="needs a cost or known_grads"):
            loopjax.grad(None, at.dscalar())


class TestConsiderConstant:
    def test_inside_of_a_loop_s_inputs(self):
        x = at.dvector("x")
        scale = x.sum()
        out, _ = loopjax.scan(lambda a, h: h * scale + a, sequences=x, outputs_info=at.constant(1.0, dtype="float64"))
        held = loopjax.grad(out[-1], x, consider_constant=[scale])
        np.testing.assert_allclose(held.eval({x: [2.0, 3.0]}), [5, 1])
        one = loopjax.grad(out[-1], x, consider_constant=scale)
        np.testing.assert_allclose(one.eval({x: [2.0, 3.0]}), [5, 1])

    def test_of_all_there_is(self):
        x = at.dscalar("x")
        y = x * 2
        with pytest.raises(DisconnectedInputError):
            loopjax.grad(y**2, x, consider_constant=[y])
