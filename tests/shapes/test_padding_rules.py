"""Padding rules as text: a small graph for each kind of rule, after padding."""

import textwrap

import numpy as np
import pytest

import loopjax
import loopjax.tensor as at
from loopjax.ir.graph import Graph, ancestors
from loopjax.ir.printing import graph_text
from loopjax.ir.verify import verify
from loopjax.rewrite.differentiate import FormDifferentiatedRegions
from loopjax.shapes.padding.pad import pad
from loopjax.shapes.padding.spec import ExactLengthOp, InputAxis, Padding

X, Y, M, N = at.dvector("x"), at.dvector("y"), at.dmatrix("m"), at.lscalar("n")

ROWS_OF_X = Padding(axes=(InputAxis(X, 0),))
ROWS = Padding(axes=(InputAxis(X, 0), InputAxis(Y, 0), InputAxis(M, 1)))
VALUE = Padding(values=(N,))
DEVICE = Padding(axes=(InputAxis(X, 0),), device=True)
DEVICE_Y = Padding(axes=(InputAxis(Y, 0),), device=True)


def padded(out, padding):
    """The padded program of one output."""
    read = ancestors([out])
    graph = FormDifferentiatedRegions()(Graph([variable for variable in (X, Y, M, N) if variable in read], [out]))
    axes = tuple(axis for axis in padding.axes if axis.variable in read)
    result = pad(graph, Padding(padding.values, axes, padding.device))
    verify(result.graph)
    return result


RULES = {
    "elementwise ops work on all rows": (
        lambda: at.exp(X) * 2,
        ROWS_OF_X,
        """
        %0 = exp(x) : float64(?,)
        %1 = mul(%0, 2.) : float64(?,)
        %2 = cut[axes=(0,)](%1, rows of x) : float64(?,)
        return %2
        """,
    ),
    "operands get the smaller capacity": (
        lambda: X + Y,
        ROWS,
        """
        %0 = dim[axis=0](x) : int64()
        %1 = dim[axis=0](y) : int64()
        %2 = minimum(%0, %1) : int64()
        %3 = resize[axis=0, lengths=(None,)](x, %2) : float64(?,)
        %4 = resize[axis=0, lengths=(None,)](y, %2) : float64(?,)
        %5 = add(%3, %4) : float64(?,)
        %6 = cut[axes=(0,)](%5, rows of x) : float64(?,)
        return %6
        """,
    ),
    "an operand of exact length makes the other exact": (
        lambda: X + Y,
        ROWS_OF_X,
        """
        %0 = dim[axis=0](y) : int64()
        %1 = resize[axis=0, lengths=(None,)](x, %0) : float64(?,)
        %2 = add(%1, y) : float64(?,)
        return %2
        """,
    ),
    "a reduction masks with its identity": (
        lambda: X.sum(),
        ROWS_OF_X,
        """
        %0 = mask_rows[axis=0, value=zero](x, rows of x) : float64(?,)
        %1 = sum[axis=(0,), dtype=float64, keepdims=False](%0) : float64()
        return %1
        """,
    ),
    "a mean divides by the length": (
        lambda: X.mean(),
        ROWS_OF_X,
        """
        %0 = mask_rows[axis=0, value=zero](x, rows of x) : float64(?,)
        %1 = sum[axis=(0,), dtype=float64, keepdims=False](%0) : float64()
        %2 = cast[dtype=float64](rows of x) : float64()
        %3 = true_div(%1, %2) : float64()
        return %3
        """,
    ),
    "a scan along the axis is filled again": (
        lambda: at.cumsum(X) * 2,
        ROWS_OF_X,
        """
        %0 = cumsum[axis=0](x) : float64(?,)
        %1 = fill_rows[axis=0, value=row 0](%0, rows of x) : float64(?,)
        %2 = mul(%1, 2.) : float64(?,)
        %3 = cut[axes=(0,)](%2, rows of x) : float64(?,)
        return %3
        """,
    ),
    "a product masks what it sums over": (
        lambda: at.dot(M, X),
        ROWS,
        """
        %0 = dim[axis=1](m) : int64()
        %1 = dim[axis=0](x) : int64()
        %2 = minimum(%0, %1) : int64()
        %3 = resize[axis=1, lengths=(None,)](m, %2) : float64(?, ?)
        %4 = mask_rows[axis=1, value=zero](%3, rows of m) : float64(?, ?)
        %5 = resize[axis=0, lengths=(None,)](x, %2) : float64(?,)
        %6 = mask_rows[axis=0, value=zero](%5, rows of x) : float64(?,)
        %7 = dot(%4, %6) : float64(?,)
        return %7
        """,
    ),
    "a size is the length": (
        lambda: X.shape[0] * 2,
        ROWS_OF_X,
        """
        %0 = mul(rows of x, 2) : int64()
        return %0
        """,
    ),
    "a slice is as long as the capacity allows": (
        lambda: X[1:] * 2,
        ROWS_OF_X,
        """
        %0 = index[1:](x) : float64(?,)
        %1 = dim[axis=0](x) : int64()
        %2 = sub(%1, 1) : int64()
        %3 = maximum(%2, 0) : int64()
        %4 = resize[axis=0, lengths=(None,)](%0, %3) : float64(?,)
        %5 = sub(rows of x, 1) : int64()
        %6 = maximum(%5, 0) : int64()
        %7 = fill_rows[axis=0, value=row 0](%4, %6) : float64(?,)
        %8 = mul(%7, 2.) : float64(?,)
        %9 = cut[axes=(0,)](%8, %6) : float64(?,)
        return %9
        """,
    ),
    "a slice by a value has a capacity": (
        lambda: X[:N].sum(),
        VALUE,
        """
        %0 = dim[axis=0](x) : int64()
        %1 = lt(n, 0) : bool()
        %2 = add(n, %0) : int64()
        %3 = maximum(%2, 0) : int64()
        %4 = minimum(n, %0) : int64()
        %5 = switch(%1, %3, %4) : int64()
        %6 = capacity[fine=False](%5) : int64()
        %7 = minimum(%0, %6) : int64()
        %8 = resize[axis=0, lengths=(None,)](x, %7) : float64(?,)
        %9 = mask_rows[axis=0, value=zero](%8, %5) : float64(?,)
        %10 = sum[axis=(0,), dtype=float64, keepdims=False](%9) : float64()
        return %10
        """,
    ),
    "a position is counted from the front": (
        lambda: X[-2],
        ROWS_OF_X,
        """
        %0 = lt(-2, 0) : bool()
        %1 = add(-2, rows of x) : int64()
        %2 = switch(%0, %1, -2) : int64()
        %3 = lt(%2, rows of x) : bool()
        %4 = ge(%2, 0) : bool()
        %5 = and_(%3, %4) : bool()
        %6 = dim[axis=0](x) : int64()
        %7 = switch(%5, %2, %6) : int64()
        %8 = index[%7](x, %7) : float64()
        return %8
        """,
    ),
    "a write past the length goes nowhere": (
        lambda: at.set_subtensor(X[Y > 0], 5.0).sum(),
        DEVICE_Y,
        """
        %0 = dim[axis=0](x) : int64()
        %1 = alloc[lengths=(None,)](False, %0) : bool(?,)
        %2 = gt(y, 0.) : bool(?,)
        %3 = dim[axis=0](%1) : int64()
        %4 = resize[axis=0, lengths=(None,)](%2, %3) : bool(?,)
        %5 = second(%1, %4) : bool(?,)
        %6 = true_places(%5) : int64(?,)
        %7 = sum[axis=(0,), dtype=int64, keepdims=False](%5) : int64()
        %8 = mask_rows[axis=0, value=greatest](%6, %7) : int64(?,)
        %9 = set[%8](x, 5., %8) : float64(?,)
        %10 = sum[axis=(0,), dtype=float64, keepdims=False](%9) : float64()
        %11 = eq(%3, rows of y) : bool()
        return %10, %11
        """,
    ),
    "joined operands are gathered": (
        lambda: at.concatenate([X, X]),
        ROWS_OF_X,
        """
        %0 = join[axis=0](x, x) : float64(?,)
        %1 = dim[axis=0](x) : int64()
        %2 = add(0, %1) : int64()
        %3 = add(%2, %1) : int64()
        %4 = arange[dtype=int64, lengths=(0, None, 1)](%3) : int64(?,)
        %5 = add(0, rows of x) : int64()
        %6 = ge(%4, %5) : bool(?,)
        %7 = sub(%2, %5) : int64()
        %8 = add(%4, %7) : int64(?,)
        %9 = add(%2, rows of x) : int64()
        %10 = minimum(%8, %9) : int64(?,)
        %11 = ge(%4, 0) : bool(?,)
        %12 = add(%4, 0) : int64(?,)
        %13 = minimum(%12, %5) : int64(?,)
        %14 = switch(%11, %13, %4) : int64(?,)
        %15 = switch(%6, %10, %14) : int64(?,)
        %16 = sub(%3, 1) : int64()
        %17 = maximum(%16, 0) : int64()
        %18 = minimum(%15, %17) : int64(?,)
        %19 = maximum(%18, 0) : int64(?,)
        %20 = index[%19](%0, %19) : float64(?,)
        %21 = add(%5, rows of x) : int64()
        %22 = cut[axes=(0,)](%20, %21) : float64(?,)
        return %22
        """,
    ),
    "an array from nothing has a capacity": (
        lambda: at.zeros(N, dtype="float64"),
        VALUE,
        """
        %0 = capacity[fine=False](n) : int64()
        %1 = alloc[lengths=(None,)](0., %0) : float64(?,)
        %2 = cut[axes=(0,)](%1, n) : float64(?,)
        return %2
        """,
    ),
    "rows of another width": (
        lambda: X.reshape((-1, 2)),
        ROWS_OF_X,
        """
        %0 = reshape[lengths=(-1,)](x) : float64(?,)
        %1 = dim[axis=0](x) : int64()
        %2 = floor_div(%1, 2) : int64()
        %3 = mul(%2, 2) : int64()
        %4 = resize[axis=0, lengths=(None,)](%0, %3) : float64(?,)
        %5 = reshape[lengths=(None, 2)](%4, %2) : float64(?, 2)
        %6 = floor_div(rows of x, 2) : int64()
        %7 = cut[axes=(0,)](%5, %6) : float64(?, 2)
        return %7
        """,
    ),
    "positions of a mask": (
        lambda: (X > 0).nonzero()[0] * 2,
        DEVICE,
        """
        %0 = gt(x, 0.) : bool(?,)
        %1 = mask_rows[axis=0, value=zero](%0, rows of x) : bool(?,)
        %2 = true_places(%1) : int64(?,)
        %3 = sum[axis=(0,), dtype=int64, keepdims=False](%1) : int64()
        %4 = fill_rows[axis=0, value=row 0](%2, %3) : int64(?,)
        %5 = mul(%4, 2) : int64(?,)
        %6 = cut[axes=(0,)](%5, %3) : int64(?,)
        return %6
        """,
    ),
    "an op without a rule needs the length": (
        lambda: at.linalg.pinv(M),
        ROWS,
        """
        %0 = resize[axis=1, lengths=(None,)](m, rows of m) : float64(?, ?)
        %1 = pinv(%0) : float64(?, ?)
        return %1
        """,
    ),
    "a map runs for the capacity": (
        lambda: loopjax.scan(lambda a: a * 2, X, name="map")[0],
        ROWS_OF_X,
        """
        %0 = dim[axis=0](x) : int64()
        %1 = scan 'map'[steps=length, sequence[0], map keeps all](%0, x) : float64(?,)
            input 1.x[t] : float64()
            %1.0 = mul(1.x[t], 2.) : float64()
            return %1.0
        %2 = cut[axes=(0,)](%1, rows of x) : float64(?,)
        return %2
        """,
    ),
    "a recurrence runs for the length": (
        lambda: loopjax.scan(lambda a, h: a + h, X, np.float64(0), name="sum")[0],
        ROWS_OF_X,
        """
        %0 = dim[axis=0](x) : int64()
        %1 = scan 'sum'[steps=value, sequence[0], recurrence[-1] keeps all](rows of x, %0, x, 0.) : float64(?,)
            input 1.x[t] : float64()
            input 1.h : float64()
            %1.0 = add(1.x[t], 1.h) : float64()
            return %1.0
        %2 = cut[axes=(0,)](%1, rows of x) : float64(?,)
        return %2
        """,
    ),
    "a loop backwards reads reversed rows": (
        lambda: loopjax.scan(lambda a, h: a + h, X, np.float64(0), go_backwards=True, name="sum")[0][-1],
        ROWS_OF_X,
        """
        %0 = dim[axis=0](x) : int64()
        %1 = sub(rows of x, 1) : int64()
        %2 = arange[dtype=int64, lengths=(0, None, 1)](%0) : int64(?,)
        %3 = sub(%1, %2) : int64(?,)
        %4 = sub(%0, 1) : int64()
        %5 = maximum(%4, 0) : int64()
        %6 = minimum(%3, %5) : int64(?,)
        %7 = maximum(%6, 0) : int64(?,)
        %8 = index[%7](x, %7) : float64(?,)
        %9 = scan 'sum'[steps=value, sequence[0], recurrence[-1] keeps all](rows of x, %0, %8, 0.) : float64(?,)
            input 9.x[t] : float64()
            input 9.h : float64()
            %9.0 = add(9.x[t], 9.h) : float64()
            return %9.0
        %10 = fill_rows[axis=0, value=row 0](%9, rows of x) : float64(?,)
        %11 = lt(-1, 0) : bool()
        %12 = add(-1, rows of x) : int64()
        %13 = switch(%11, %12, -1) : int64()
        %14 = lt(%13, rows of x) : bool()
        %15 = ge(%13, 0) : bool()
        %16 = and_(%14, %15) : bool()
        %17 = switch(%16, %13, %0) : int64()
        %18 = index[%17](%10, %17) : float64()
        return %18
        """,
    ),
    "the steps of an until loop are a length": (
        lambda: loopjax.scan(lambda h: (h * 2, loopjax.until(h > N)), None, np.float64(1), n_steps=9, name="until")[
            0
        ].sum(),
        DEVICE,
        """
        %0 = as_float[dtype=float64](n) : float64()
        %1 = scan 'until'[steps=9, recurrence[-1] keeps all, until](1., %0) : float64(?,), int64()
            input 1.h : float64()
            input 1.in1 : float64()
            %1.0 = mul(1.h, 2.) : float64()
            %1.1 = gt(1.h, 1.in1) : bool()
            return %1.0, %1.1
        %2 = mask_rows[axis=0, value=zero](%1:0, %1:1) : float64(?,)
        %3 = sum[axis=(0,), dtype=float64, keepdims=False](%2) : float64()
        return %3
        """,
    ),
    "a cotangent gets the axes of its cost": (
        lambda: loopjax.grad(None, X, known_grads={at.cumsum(X): Y}),
        ROWS,
        """
        %0 = dim[axis=0](x) : int64()
        %1 = linearize[wrt=1, costs=1](x, rows of x, %0) : float64(?,), residual()
            input 1.x : float64(?,)
            input 1.rows of x : int64()
            input 1.in2 : int64()
            %1.0 = cumsum[axis=0](1.x) : float64(?,)
            %1.1 = fill_rows[axis=0, value=row 0](%1.0, 1.rows of x) : float64(?,)
            return %1.1
        %2 = resize[axis=0, lengths=(None,)](y, %0) : float64(?,)
        %3 = mask_rows[axis=0, value=zero](%2, rows of x) : float64(?,)
        %4 = pullback(%1:1, %3) : float64(?,)
        %5 = cut[axes=(0,)](%4, rows of x) : float64(?,)
        return %5
        """,
    ),
}


@pytest.mark.parametrize("name", RULES)
def test_the_padded_graph(name):
    make, padding, expected = RULES[name]
    lines = graph_text(padded(make(), padding).graph).splitlines()
    assert [line for line in lines if not line.startswith("input")] == textwrap.dedent(expected).strip().splitlines()


def test_nothing_varies():
    graph = Graph([X], [at.cumsum(X)])
    assert pad(graph, Padding()) == (graph, (), False, (), frozenset(), (), ())


def test_what_a_run_decides_in_a_body_is_padded_without_being_asked():
    """No stage can end in a body."""

    def row(limit):
        step = lambda h: (h * 2, loopjax.until(h > limit))  # noqa: E731
        return loopjax.scan(step, None, np.float64(1), n_steps=9, name="inner")[0].sum()

    out, _ = loopjax.scan(row, X, name="outer")
    (loop,) = [node.op for node in pad(Graph([X], [out]), Padding()).graph.applies if node.op.name == "scan"]
    assert [node.op.name for node in loop.body.applies] == ["scan", "mask_rows", "sum"]


def test_a_differentiated_loop_is_the_loop_of_its_steps():
    """The number of steps is a value, and the body is as it was."""
    out, _ = loopjax.scan(lambda a, h: a * h, X, np.float64(1), name="product")
    result = padded(loopjax.grad(out.sum(), X), ROWS_OF_X)
    (region,) = [node.op.region for node in result.graph.applies if node.op.name == "linearize"]
    (loop,) = [node.op for node in region.applies if node.op.name == "scan"]
    assert loop.dynamic
    assert loop.bounded
    assert graph_text(loop.body).splitlines() == [
        "input x[t] : float64()",
        "input h : float64()",
        "%0 = mul(x[t], h) : float64()",
        "return %0",
    ]


def test_a_loop_that_stops_by_until_does_where_it_is_differentiated():
    step = lambda a, h: (a * h, loopjax.until(h > 2))  # noqa: E731
    out, _ = loopjax.scan(step, X, np.float64(1), name="product")
    result = padded(loopjax.grad((out * 2).cumsum().sum(), X), DEVICE)
    (region,) = [node.op.region for node in result.graph.applies if node.op.name == "linearize"]
    (loop,) = [node.op for node in region.applies if node.op.name == "scan"]
    assert loop.until
    assert [node.op.name for node in loop.body.applies] == ["mul", "gt"]


class TestWhatACallMustKnow:
    def test_lengths_that_arguments_say_are_compared_before_the_call(self):
        result = padded(X + Y, ROWS)
        (check,) = result.preconditions
        assert {check.length, check.other} == set(result.graph.inputs[2:])
        assert (check.relation, check.code, check.message) == ("==", "LJ501", "add: sizes that must be equal differ")
        assert result.assertions == ()

    @pytest.mark.parametrize(("position", "least"), [(5, 6), (0, 1), (-1, 1), (-2, 2)])
    def test_rows_that_an_index_needs(self, position, least):
        (check,) = padded(X[position], ROWS_OF_X).preconditions
        assert (check.relation, int(check.other.data), check.code) == (">=", least, "LJ206")

    def test_lengths_that_only_a_run_tells_are_compared_after_it(self):
        result = padded(X[X > 0] + Y[Y > 0], Padding(axes=ROWS.axes, device=True))
        (assertion,) = result.assertions
        assert assertion.holds is result.graph.outputs[-1]
        assert assertion.holds.owner.op.name == "eq"

    def test_lengths_that_a_run_decides_have_a_capacity_where_asked(self):
        out = at.zeros(X.sum().astype("int64"))
        assert "capacity" in graph_text(padded(out, DEVICE).graph)
        assert "capacity" not in graph_text(padded(out, ROWS_OF_X).graph)

    def test_an_op_that_needs_a_length(self):
        result = padded(at.linalg.pinv(M), ROWS)
        (op,) = result.exact_ops
        assert (op.op, op.ends_stage) == ("pinv", False)
        assert result.exact_inputs == {InputAxis(M, 1)}

    def test_a_reshape_to_nothing(self):
        (op,) = padded(X.reshape((2, 0)), ROWS_OF_X).exact_ops
        assert op.op == "reshape"

    def test_an_op_that_ends_a_stage(self):
        result = padded(at.linalg.pinv(at.diag(X[X > 0])), DEVICE)
        assert [ExactLengthOp(one.op, (), one.ends_stage) for one in result.exact_ops] == [
            ExactLengthOp("pinv", (), True)
        ]
        assert result.exact_inputs == frozenset()

    def test_capacities_are_finer_where_loops_run_for_them(self):
        assert not padded(X.sum(), ROWS_OF_X).fine
        assert padded(loopjax.grad((X**2).sum(), X), ROWS_OF_X).fine
        slope = loopjax.grad(((X[0] * at.arange(N)) ** 2).sum(), X)
        assert "capacity[fine=True]" in graph_text(padded(slope, VALUE).graph)
