"""Stages, and preconditions of calls."""

import numpy as np
import pytest

import loopjax
import loopjax.tensor as at
from loopjax.errors import UnsupportedError
from loopjax.ir.graph import Graph
from loopjax.ir.scan import MOST_STEPS
from loopjax.rewrite.driver import rewrite
from loopjax.rewrite.pipeline import symbolic
from loopjax.shapes.padding.pad import pad
from loopjax.shapes.padding.spec import Padding
from loopjax.shapes.preconditions import Precondition, check_trip_counts, trip_count_checks
from loopjax.shapes.stages import LengthOutput, OutputSlice, specialization_key, split

N, K, X, Y = at.lscalar("n"), at.lscalar("k"), at.dvector("x"), at.dvector("y")


def stages(inputs, outputs):
    """The stages of a program after the passes that need no shapes; lengths that only a run decides are cut."""
    return split(pad(rewrite(Graph(inputs, outputs), symbolic()), Padding()).graph)


class TestStages:
    def test_one_where_the_host_knows_all_lengths(self):
        (stage,) = stages([N, X], [X[: N // 2] * 2])
        assert [stage.graph.inputs[position] for position in stage.length_inputs] == [N]
        assert len(stage.results) == 1

    def test_minibatches_of_a_computed_array_share_one_program(self):
        data, labels = loopjax.shared(np.arange(40.0), "data"), loopjax.shared(np.arange(40.0), "labels")
        x, y = data[N * 10 : (N + 1) * 10], at.cast(labels, "int32")[N * 10 : (N + 1) * 10]
        read = loopjax.function([N], (x[at.arange(y.shape[0])] * y).sum())
        for batch in range(4):
            rows = np.arange(10 * batch, 10 * batch + 10)
            assert read(batch) == (rows * rows).sum()
        assert [len(stage.programs) for stage in read.stages] == [1]

    def test_shapes_that_do_not_fit_are_reported_and_not_a_key(self):
        (stage,) = stages([N, X, Y], [at.arange((X + Y).shape[0] + N)])
        pairs = ((1, 2, 2), (1, 2, 2), (2, 2, 2), (2, 3, 3), (2, 2, 3))
        keys = [specialization_key(stage, [np.int64(n), np.zeros(x), np.zeros(y)]) for n, x, y in pairs]
        assert keys[0] == keys[1]
        assert len({*keys}) == 4
        with pytest.raises(ValueError, match=r"shapes .*\(2,\).* and .*\(3,\)"):
            loopjax.function([N, X, Y], at.arange((X + Y).shape[0] + N))(2, np.zeros(2), np.zeros(3))

    def test_a_mask_ends_one(self):
        first, second = stages([X], [at.sort(X[X > 0])])
        assert [variable.owner.op.name for variable in first.graph.outputs] == ["true_places", "sum"]
        (result,) = [slice for variable, slice in first.results]
        assert result == OutputSlice(0, ((0, LengthOutput(1)),))
        assert second.graph.inputs[0] is X
        assert second.graph.outputs[0].owner.op.name == "sort"

    def test_what_is_returned_only_is_cut_in_its_stage(self):
        (stage,) = stages([X], [X[X > 0].nonzero()[0]])[:1]
        ((_, result),) = stage.results
        assert result.lengths == ((0, LengthOutput(1)),)

    def test_a_length_computed_on_the_device_ends_one(self):
        first, second = stages([X], [at.zeros(X.sum().astype("int64"))])
        assert [variable.dtype for variable in first.graph.outputs] == ["int64"]
        assert second.length_inputs == (0,)

    def test_integer_arithmetic_is_repeated(self):
        """The next stage needs its input, not its result."""
        first, second = stages([X, N], [at.arange(X.sum().astype("int64"), N * 2)])
        assert N in second.graph.inputs
        assert len(first.graph.outputs) == 1

    def test_lengths_of_differentiated_values_are_refused(self):
        step = lambda h: (h * 2, loopjax.until(h > X.sum()))  # noqa: E731
        slope = loopjax.grad(loopjax.scan(step, None, X[0], n_steps=9)[0].cumsum().sum(), X)
        assert len(stages([X], [slope])) == 2
        with pytest.raises(UnsupportedError, match="inside of a gradient"):
            residual_length()

    def test_equal_lengths_have_one_key(self):
        (stage,) = stages([N], [at.zeros(N // 2)])
        keys = {specialization_key(stage, [np.asarray(n)]) for n in (4, 5, 6, 7)}
        assert len(keys) == 2

    def test_shapes_are_of_the_key(self):
        (stage,) = stages([X], [X * 2])
        assert specialization_key(stage, [np.ones(2)]) != specialization_key(stage, [np.ones(3)])


def residual_length():
    """A program whose second stage would read what a derivative stores."""
    from loopjax.ir.autodiff import Linearize, Pullback
    from loopjax.ir.graph import Apply, Variable

    x = Variable(X.type, name="x")
    region = Graph([x], [(x * x).sum()])
    cost, residual = Apply(Linearize(region, 1, 1), [X], ()).outputs
    length = at.zeros(cost.astype("int64")).sum().astype("float64")
    pulled = Apply(Pullback((x.type,), (cost.type,)), [residual, length], ()).outputs
    split(Graph([X], list(pulled)))


def loop(n_steps, **options):
    """The last value of a loop whose trip count no shape depends on."""
    return loopjax.scan(lambda h: h * 2, None, np.float64(1), n_steps=n_steps, name="loop", **options)[0]


def last_of_range(rows=K):
    """The last value of a loop over a range with taps -1 and 0."""
    taps = {"input": at.arange(rows), "taps": [-1, 0]}
    out, _ = loopjax.scan(lambda a, b, h: h + a * b, taps, at.constant(0), n_steps=N, name="range")
    return out[-1]


class TestTripCounts:
    def checked(self, inputs, outputs, *values):
        graph = rewrite(Graph(inputs, outputs), symbolic())
        check_trip_counts(trip_count_checks(graph), dict(zip(inputs, map(np.asarray, values), strict=True)))

    def test_negative(self):
        self.checked([N], [loop(N)[-1]], 1)
        with pytest.raises(ValueError, match=r"^scan 'loop': n_steps is negative: -1"):
            self.checked([N], [loop(N)[-1]], -1)

    def test_too_great(self):
        with pytest.raises(ValueError, match=f"at most {MOST_STEPS}"):
            self.checked([N], [loop(N)[-1]], MOST_STEPS + 1)

    def test_less_than_what_is_read(self):
        self.checked([N], [loop(N)[-3]], 3)
        with pytest.raises(IndexError, match=r"^scan 'loop' ran 2 steps; what is read needs 3"):
            self.checked([N], [loop(N)[-3]], 2)

    def test_more_than_a_sequence_has_rows_for(self):
        """The sequence is a range, which the loop computes itself: no shape tells its length."""
        self.checked([N, K], [last_of_range()], 3, 4)
        with pytest.raises(ValueError, match=r"^scan 'range': sequence 'sequences\[0\]' has 4 rows; 4 steps need 5"):
            self.checked([N, K], [last_of_range()], 4, 4)

    def test_lengths_of_examples(self):
        lengths, m = at.lvector("lengths"), at.dmatrix("m")
        start = at.zeros(2, dtype="float64")
        out, _ = loopjax.scan(lambda a, h: h + a, m, start, lengths=lengths, n_steps=5, name="ragged")
        self.checked([m, lengths], [out], np.ones((5, 2)), [5, 0])
        with pytest.raises(ValueError, match=r"^scan 'ragged': lengths\[1\] is negative: -1"):
            self.checked([m, lengths], [out], np.ones((5, 2)), [5, -1])
        with pytest.raises(ValueError, match=r"^scan 'ragged': .*lengths\[0\]"):
            self.checked([m, lengths], [out], np.ones((5, 2)), [6, 1])
        with pytest.raises(ValueError, match=r"^scan 'ragged': lengths is empty"):
            self.checked([m, lengths], [out], np.ones((5, 0)), np.ones(0, "int64"))


class TestPreconditions:
    @pytest.mark.parametrize(("relation", "holds"), [("==", (3,)), (">=", (3, 4)), ("<=", (2, 3))])
    def test_relations(self, relation, holds):
        check = Precondition(N, K, relation, "LJ501", "sizes differ", " [here]")
        for length in (2, 3, 4):
            if length in holds:
                check.verify(length, 3)
            else:
                with pytest.raises(
                    ValueError, match=rf"^sizes differ: {length} {relation} 3 does not hold \[here\](\n|$)"
                ):
                    check.verify(length, 3)

    def test_an_index(self):
        with pytest.raises(IndexError, match=r"^2 rows, not 3(\n|$)"):
            Precondition(N, K, ">=", "LJ206", "<length> rows, not <other>", "").verify(2, 3)


def test_a_checked_trip_count_is_called_again():
    """The check needs the sequence's length, which is not the trip count's value."""
    f = loopjax.function([N, X], last_of_range(X.shape[0]))
    for _ in range(3):
        assert int(f(3, np.ones(6))) == 0 * 1 + 1 * 2 + 2 * 3
    with pytest.raises(ValueError, match="has 6 rows; 6 steps need 7"):
        f(6, np.ones(6))
