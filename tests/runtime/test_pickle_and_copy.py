"""Functions and shared variables that are pickled, and functions copied with other shared variables."""

import pickle

import numpy as np
import pytest

import loopjax
import loopjax.tensor as at


def again(value):
    return pickle.loads(pickle.dumps(value))


def test_a_pickled_function_goes_on_with_state_of_its_own():
    a, x = loopjax.shared(np.arange(3.0), name="a"), at.dscalar("x")
    draw = at.random.RandomStream(3).normal(size=(2,))
    f = loopjax.function([loopjax.In(x, value=2.0)], {"product": a * x, "draw": draw}, updates={a: a + 1}, name="f")
    f()
    g = again(f)
    for _ in range(2):
        one, other = f(), g()
        np.testing.assert_array_equal(one["product"], other["product"])
        np.testing.assert_array_equal(one["draw"], other["draw"])
    g()
    (copied, _) = g.get_shared()
    np.testing.assert_array_equal(a.get_value(), [3, 4, 5])
    np.testing.assert_array_equal(copied.get_value(), [4, 5, 6])
    assert repr(g) == "<f(x)>"


def test_loops_and_gradients_survive():
    x, h = at.dvector("x"), at.dscalar("h")
    out, _ = loopjax.scan(lambda u, h: at.tanh(u * h) + u, sequences=x, outputs_info=h, name="loop")
    cost = (out**2).sum()
    f = loopjax.function([x, h], [out, cost, *loopjax.grad(cost, [x, h])])
    for one, other in zip(f(np.ones(4), 0.5), again(f)(np.ones(4), 0.5), strict=True):
        np.testing.assert_array_equal(one, other)


def test_an_inner_expression_as_an_input():
    x = at.dscalar("x")
    y = x * 2
    assert float(again(loopjax.function([y], y + 1))(10.0)) == 11.0


def test_a_variable_takes_its_graph_along():
    x = at.dscalar("x")
    y = again(at.exp(x) + 1)
    (leaf,) = [v for node in [y.owner.inputs[0].owner] for v in node.inputs]
    assert float(y.eval({leaf: 0.0})) == 2.0


def test_shared_variables_keep_default_updates():
    a = loopjax.shared(np.float32(1), name="a")
    a.default_update = a * 2
    b = again(a)
    loopjax.function([], b)()
    assert (float(a.get_value()), float(b.get_value())) == (1.0, 2.0)
    key = at.random.RandomStream(5).normal().owner.inputs[0]
    np.testing.assert_array_equal(
        [loopjax.function([], at.random.RandomStream(5).normal())()],
        [loopjax.function([], at.random.RandomStream(5).normal())()],
    )
    assert again(key).default_update.owner.inputs[0].dtype == "key"


def test_depth_does_not_matter():
    x = at.dscalar("x")
    y = x
    for _ in range(20_000):
        y = y + 1
    graph = again(loopjax.function([x], y).graph)
    assert len(graph.applies) == 20_000


class TestCopy:
    def test_swapped_variables_are_apart_and_others_shared(self):
        a, b, count = loopjax.shared(1.0), loopjax.shared(10.0), loopjax.shared(0)
        f = loopjax.function([], a * 1, updates={a: a + 1, count: count + 1})
        g = f.copy(swap={a: b}, name="g")
        assert [float(f()), float(g()), float(g())] == [1.0, 10.0, 11.0]
        assert (float(a.get_value()), float(b.get_value()), int(count.get_value())) == (2.0, 12.0, 3)
        assert g.name == "g"

    def test_without_updates(self):
        a = loopjax.shared(1.0)
        f = loopjax.function([], a * 1, updates={a: a + 1})
        g = f.copy(delete_updates=True)
        assert [float(g()), float(g())] == [1.0, 1.0]

    def test_refusals(self):
        a, other, wrong = loopjax.shared(1.0, name="a"), loopjax.shared(1.0), loopjax.shared(1)
        f = loopjax.function([], a * 1)
        with pytest.raises(ValueError, match="has no shared variable"):
            f.copy(swap={other: a})
        with pytest.raises(TypeError, match="expected a shared variable of type float32"):
            f.copy(swap={a: wrong})


class TestCheckIndex:
    @pytest.mark.parametrize(("index", "inside"), [(0, True), (2, True), (-3, True), (3, False), (-4, False)])
    def test_reads(self, index, inside):
        x, i = at.dvector("x"), at.lscalar("i")
        f = loopjax.function([x, i], x[i], check="index")
        if inside:
            assert float(f(np.arange(3.0), index)) == np.arange(3.0)[index]
        else:
            with pytest.raises(
                IndexError, match=r"out of bounds for an axis of size 3: .* \[test_pickle_and_copy.py:\d+\]"
            ):
                f(np.arange(3.0), index)
            assert np.isnan(float(loopjax.function([x, i], x[i])(np.arange(3.0), index)))

    def test_inside_of_loops_and_maps_and_writes(self):
        x, k, h = at.dvector("x"), at.lvector("k"), at.dscalar("h")
        looped, _ = loopjax.scan(lambda i, h: h + x[i], sequences=k, outputs_info=h)
        mapped, _ = loopjax.map(lambda i: x[i], k)
        written = at.set_subtensor(x[k], h)
        for output in (looped, mapped, written):
            f = loopjax.function([x, k, h], output, check="index", on_unused_input="ignore")
            f(np.arange(3.0), [0, 2], 0.0)
            with pytest.raises(IndexError, match="out of bounds"):
                f(np.arange(3.0), [0, 3], 0.0)

    def test_state_stays_and_other_values_are_refused(self):
        x, i, a = at.dvector("x"), at.lscalar("i"), loopjax.shared(0)
        f = loopjax.function([x, i], x[i], updates={a: a + 1}, check="index")
        with pytest.raises(IndexError):
            f(np.arange(3.0), 7)
        assert int(a.get_value()) == 0
        f(np.arange(3.0), 1)
        assert int(a.get_value()) == 1
        with pytest.raises(ValueError, match="check is 'index', 'nan', 'inf' or None"):
            loopjax.function([x, i], x[i], check="bounds")


def test_a_swap_that_makes_two_variables_one_is_refused():
    a, b = loopjax.shared(1.0), loopjax.shared(2.0)
    f = loopjax.function([], [a, b], updates={a: a + 1, b: b + 5})
    with pytest.raises(ValueError, match="makes two of its shared variables one"):
        f.copy(swap={a: b})
