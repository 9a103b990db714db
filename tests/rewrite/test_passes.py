"""Each pass on small graphs, as text before and after."""

import re
import textwrap

import numpy as np
import pytest

import loopjax
import loopjax.tensor as at
from loopjax.ir.graph import Graph
from loopjax.ir.printing import graph_text
from loopjax.ir.verify import InvalidGraph, verify
from loopjax.rewrite.cse import EliminateCommonSubexpressions
from loopjax.rewrite.differentiate import FormDifferentiatedRegions
from loopjax.rewrite.driver import rewrite
from loopjax.rewrite.dynamic_trip_count import DynamicTripCount
from loopjax.rewrite.pipeline import symbolic
from loopjax.rewrite.saved_steps import SaveReadSteps


def after(steps, inputs, outputs):
    graph = rewrite(Graph(inputs, outputs), steps)
    verify(graph)
    return graph_text(graph)


def lines(text):
    return textwrap.dedent(text).strip("\n")


class TestMerge:
    def test_equal_nodes_become_one_with_both_lines(self):
        x = at.dvector("x")
        y = at.exp(x)
        z = at.exp(x)
        graph = EliminateCommonSubexpressions()(Graph([x], [y * 2 + z]))
        assert graph_text(graph) == lines("""
            input x : float64(?,)
            %0 = exp(x) : float64(?,)
            %1 = mul(%0, 2.) : float64(?,)
            %2 = add(%1, %0) : float64(?,)
            return %2""")
        assert len(graph.applies[0].sources) == 2

    def test_constants_by_type_and_bytes(self):
        values = [np.int64(1), 1.0, True, 0.0, -0.0]
        different = [at.constant(value).copy() for value in values]
        same = [at.constant(value).copy() for value in values]
        graph = EliminateCommonSubexpressions()(Graph([], different + same))
        assert len(graph.applies) == len(values)

    def test_bodies_up_to_renaming(self):
        x = at.dvector("x")
        first, _ = loopjax.scan(lambda a, h: h * a + 1, sequences=x, outputs_info=at.constant(0.0, dtype="float64"))
        other, _ = loopjax.scan(lambda b, g: g * b + 1, sequences=x, outputs_info=at.constant(0.0, dtype="float64"))
        unlike, _ = loopjax.scan(lambda b, g: g * b + 2, sequences=x, outputs_info=at.constant(0.0, dtype="float64"))
        assert after([EliminateCommonSubexpressions()], [x], [first, other, unlike]).count("scan '") == 2

    def test_what_a_gradient_is_taken_of_stays_itself(self):
        x = at.dvector("x")
        y, z = x * 2, x * 2
        text = after([EliminateCommonSubexpressions()], [x], [loopjax.grad((y + z).sum(), y)])
        assert text.count("mul(") == 2

    def test_draws_of_one_key_are_equal_and_of_two_keys_are_not(self):
        stream = at.random.RandomStream(1)
        a, b = stream.normal(size=(2,)), stream.normal(size=(2,))
        graph = EliminateCommonSubexpressions()(Graph([a.owner.inputs[0], b.owner.inputs[0]], [a, b]))
        assert len(graph.applies) == 2


class TestGather:
    def test_gradients_asked_one_by_one_are_one_region(self):
        x, h = at.dvector("x"), at.dscalar("h")
        y = at.exp(x) * h
        cost = y.sum()
        outputs = [cost, y, loopjax.grad(cost, x), loopjax.grad(cost, h)]
        assert after(
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

    def test_an_inner_variable_is_marked(self):
        x = at.dvector("x")
        y = at.exp(x)
        cost = (y**2).sum()
        text = after([FormDifferentiatedRegions()], [x], [loopjax.grad(cost, x), loopjax.grad(cost, y)])
        assert "perturb[index=0]" in text
        assert text.count("linearize[") == 1

    def test_costs_that_share_work_share_a_region_and_others_do_not(self):
        x, w = at.dvector("x"), at.dvector("w")
        y = at.exp(x)
        shared = [loopjax.grad(y.sum(), x), loopjax.grad((y**2).sum(), x)]
        assert (
            after([EliminateCommonSubexpressions(), FormDifferentiatedRegions()], [x], shared).count("linearize[") == 1
        )
        apart = [loopjax.grad(y.sum(), x), loopjax.grad(at.sin(w).sum(), w)]
        assert (
            after([EliminateCommonSubexpressions(), FormDifferentiatedRegions()], [x, w], apart).count("linearize[")
            == 2
        )

    def test_a_gradient_of_a_gradient_nests(self):
        x = at.dscalar("x")
        second = loopjax.grad(loopjax.grad(at.sin(x), x), x)
        text = after([FormDifferentiatedRegions()], [x], [second])
        assert text.count("linearize[") == 2
        assert "gradient(" not in text


def power(k, reads):
    h = at.dscalar("h")
    out, _ = loopjax.scan(lambda h: h * 2, outputs_info=h, n_steps=k)
    return h, [read(out) for read in reads]


class TestKeep:
    @pytest.mark.parametrize(
        ("reads", "kept"),
        [
            ([lambda o: o[-1]], "last 1"),
            ([lambda o: o[-1], lambda o: o[-4]], "last 4"),
            ([lambda o: o[-3:]], "last 3"),
            ([lambda o: o[-3:], lambda o: o[-1]], "last 3"),
            ([lambda o: o.shape[0]], "last 0"),
            ([lambda o: o[-1], lambda o: o], "all"),
            ([lambda o: o[0]], "all"),
            ([lambda o: o[-3:-1]], "all"),
            ([lambda o: o.sum()], "all"),
        ],
    )
    def test_what_is_read_is_kept(self, reads, kept):
        k = at.lscalar("k")
        h, outputs = power(k, reads)
        graph = SaveReadSteps()(Graph([h, k], outputs))
        verify(graph)
        scans = re.findall(r"keeps ([^\]]*)\]", graph_text(graph))
        assert scans == ([kept] if "shape" not in kept and scans else [])
        if kept != "last 0":
            assert scans

    def test_until_does_not_cut_slices_that_may_be_longer_than_the_run(self):
        h = at.dscalar("h")
        out, _ = loopjax.scan(lambda h: (h * 2, loopjax.until(h > 9)), outputs_info=h, n_steps=50)
        assert "keeps all" in after([SaveReadSteps()], [h], [out[-3:]])
        assert "keeps last 3" in after([SaveReadSteps()], [h], [out[-3]])


class TestTripCount:
    def test_a_value_stays_one(self):
        k = at.lscalar("k")
        h, outputs = power(k, [lambda o: o[-2]])
        assert "steps=value" in after([SaveReadSteps(), DynamicTripCount()], [h, k], outputs)

    @pytest.mark.parametrize("reads", [[lambda o: o], [lambda o: o[-2:]]])
    def test_not_where_a_shape_depends_on_it(self, reads):
        k = at.lscalar("k")
        h, outputs = power(k, reads)
        assert "steps=length" in after([SaveReadSteps(), DynamicTripCount()], [h, k], outputs)

    def test_not_where_it_follows_from_shapes(self):
        x = at.dvector("x")
        h, outputs = power(x.shape[0], [lambda o: o[-1]])
        assert "steps=length" in after([SaveReadSteps(), DynamicTripCount()], [h, x], outputs)

    def test_not_under_a_gradient(self):
        k = at.lscalar("k")
        h, outputs = power(k, [lambda o: o[-1]])
        text = after(symbolic(), [h, k], [loopjax.grad(outputs[0], h)])
        assert "steps=length" in text
        f = loopjax.function([h, k], loopjax.grad(outputs[0], h))
        assert [float(f(1.0, n)) for n in (1, 2, 5)] == [2.0, 4.0, 32.0]


class TestFold:
    def test_sums_and_single_steps_leave_the_stack(self):
        k = at.lscalar("k")
        h, outputs = power(k, [lambda o: o.sum(), lambda o: o.mean(), lambda o: o[3], lambda o: o[-1]])
        text = after(symbolic(), [h, k], outputs)
        assert "keeps last 1, sum of 0, sum of 0, at of 0" in text
        assert "steps=value" in text

    def test_not_where_the_stack_is_read_anyway(self):
        k = at.lscalar("k")
        h, outputs = power(k, [lambda o: o.sum(), lambda o: o])
        assert "sum of" not in after(symbolic(), [h, k], outputs)

    def test_axes_behind_the_steps_are_reduced_after(self):
        x, m = at.dmatrix("x"), at.dscalar("m")
        out, _ = loopjax.scan(lambda h: (h * 2, loopjax.until(h.sum() > m)), outputs_info=x, n_steps=30)
        f = loopjax.function([x, m], [out.sum(), out.sum((0, 2)), out.mean(), out.prod(0), out[1, 0], out[1][:, 1]])
        assert len(f.stages) == 1
        value = np.array([[1.0, 2.0], [0.5, 0.25]])
        rows = [value]
        while rows[-1].sum() <= 40:
            rows.append(rows[-1] * 2)
        stack = np.array(rows[1:] + [rows[-1] * 2])
        found = f(value, 40.0)
        expected = [stack.sum(), stack.sum((0, 2)), stack.mean(), stack.prod(0), stack[1, 0], stack[1][:, 1]]
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-12)


def test_the_verifier_finds_a_foreign_variable_and_a_wrong_type():
    x, y = at.dvector("x"), at.dvector("y")
    with pytest.raises(InvalidGraph, match="not of this graph after test"):
        verify(Graph([x], [x + y]), after="test")
    with pytest.raises(InvalidGraph, match="is not computed"):
        verify(Graph([x], [y]))
    node = (x + x).owner
    node.outputs[0].type = node.outputs[0].type.with_dtype("int8")
    with pytest.raises(InvalidGraph, match="other types"):
        verify(Graph([x], [node.outputs[0]]))


def test_no_pass_recurses_along_the_depth():
    x = at.dscalar("x")
    y = x
    for _ in range(5000):
        y = at.sin(y)
    graph = rewrite(Graph([x], [y, loopjax.grad(y, x)]), symbolic())
    assert len(graph.outputs) == 2


def test_a_length_read_alone_still_checks_that_the_loop_could_run() -> None:
    n, x = at.lscalar("n"), at.dvector("x")
    out, _ = loopjax.scan(lambda u: u * 2, sequences=x, n_steps=n, name="double")
    f = loopjax.function([n, x], out.shape[0])
    assert int(f(3, np.ones(5))) == 3
    with pytest.raises(ValueError, match=r"'double': sequence 'x' has 5 rows; 6 steps need 6.*test_passes"):
        f(6, np.ones(5))
    with pytest.raises(ValueError, match="'double': n_steps is negative: -1"):
        f(-1, np.ones(5))


def test_a_step_of_a_loop_of_conditions_is_read_from_the_carry() -> None:
    x = at.dscalar("x")
    out, _ = loopjax.scan(lambda: (x >= 1.5, loopjax.until(x >= 1.5)), n_steps=2)
    f = loopjax.function([x], [out[0], out[1]])
    assert [bool(value) for value in f(0.0)] == [False, False]
    assert bool(f(2.0)[0])
