"""Partial materialization: only the steps that slices and strides read are stacked."""

import numpy as np
import pytest

import loopjax
import loopjax.tensor as at
from loopjax.ir.printing import graph_text
from loopjax.rewrite.saved_windows import SaveReadWindows
from tests.configured import configured
from tests.rewrite.decaying import NONE, T, decay, keeps, loop, planned, stacked, temporaries, values
from tests.rewrite.sized import after, float64, lines, rewrites, scans, sized_graph, text


@pytest.fixture
def always():
    """Windows pay at every size."""
    with configured(SaveReadWindows(least_bytes=0, stride_bytes=0)):
        yield


READS = [
    [np.s_[7]],
    [np.s_[10:20]],
    [np.s_[-12:]],
    [np.s_[5::7]],
    [np.s_[::-9]],
    [np.s_[0], np.s_[-1]],
    [np.s_[0], np.s_[10:13], np.s_[-1]],
    [np.s_[30:33, 1], np.s_[31]],
    [np.s_[None, 20:25:2], np.s_[36:20:-4]],
    [np.s_[3:3], np.s_[-1]],
]


class TestWindows:
    @pytest.mark.usefixtures("always")
    @pytest.mark.parametrize("reads", READS, ids=str)
    @pytest.mark.parametrize("backwards", [False, True])
    def test_what_is_read_is_kept(self, reads, backwards):
        x, h, out = decay(go_backwards=backwards)
        f = loopjax.function([x, h], [out[read] for read in reads])
        rows, start = values()
        expected = stacked(rows, start, backwards=backwards)
        for one, read in zip(f(rows, start), reads, strict=True):
            np.testing.assert_allclose(one, expected[read], rtol=1e-12)
        assert loop(f).outputs[0].saved.rows(T) <= T // 2

    @pytest.mark.usefixtures("always")
    def test_as_text(self):
        x, h, out = decay()
        f = loopjax.function([x, h], [out[5:8], out[-1]])
        f(*values())
        assert "keeps 5:8 and 39:40, plan=scan](x, h) : float64(4, 3)" in graph_text(planned(f))
        assert "of h 5:8 and 39:40 of 40 steps kept, the others are not read" in loop(f).notes
        g = loopjax.function([x, h], out[4::7])
        g(*values())
        assert "keeps 4:40:7, plan=scan](x, h) : float64(6, 3)" in graph_text(planned(g))

    @pytest.mark.usefixtures("always")
    @pytest.mark.parametrize("reads", [[np.s_[3:]], [np.s_[:30], np.s_[-1]], [np.s_[i] for i in range(1, 40, 5)]])
    def test_not_where_it_gains_little_or_makes_many_loops(self, reads):
        x, h, out = decay()
        f = loopjax.function([x, h], [out[read] for read in reads])
        f(*values())
        assert keeps(f) == ["all"]

    def test_small_stacks_stay(self):
        x, h, out = decay()
        f = loopjax.function([x, h], out[10:20])
        f(*values())
        assert keeps(f) == ["all"]

    @pytest.mark.usefixtures("always")
    def test_loops_without_recurrence_run_what_is_read(self):
        x = at.dmatrix("x")
        (a, b), _ = loopjax.scan(lambda u: [at.sin(u), u * 2], sequences=x)
        f = loopjax.function([x], [a[-8:-4], b[::9], b[-1]])
        rows, _ = values()
        expected = [np.sin(rows)[-8:-4], 2 * rows[::9], 2 * rows[-1]]
        for one, other in zip(f(rows), expected, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-12)
        assert keeps(f)[0] == "32:36"

    @pytest.mark.usefixtures("always")
    @pytest.mark.parametrize(
        ("taps", "reads"), [*(([-7, -2], reads) for reads in READS), *(([-1], reads) for reads in READS[::3])], ids=str
    )
    def test_gradients(self, taps, reads):
        x, h = at.dvector("x"), at.dvector("h")
        found = []
        for mode in (None, NONE):
            out, _ = loopjax.scan(
                lambda u, *past: at.tanh(u + 0.5 * past[0] + past[-1]),
                sequences=x,
                outputs_info={"initial": h, "taps": taps},
            )
            cost = sum(at.sin(out[read[:1] if read == np.s_[30:33, 1] else read]).sum() for read in reads)
            f = loopjax.function([x, h], [cost, *loopjax.grad(cost, [x, h])], mode=mode)
            found.append(f(values()[0][:, 0], np.linspace(0, 1, -min(taps))))
        for one, other in zip(*found, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-14)

    def test_temporaries(self):
        h = at.dvector("h")
        found = []
        for mode in (None, NONE):
            out, _ = loopjax.scan(lambda h: at.sin(h), outputs_info=h, n_steps=500)
            f = loopjax.function([h], [out[250].sum(), out[400:405].sum()], mode=mode)
            f(np.ones(1000))
            found.append(temporaries(f) / 8000)
        assert found[0] < 20
        assert found[1] > 100


def test_before_and_after() -> None:
    x, h = float64("x", 8), float64("h")
    out, _ = loopjax.scan(lambda x, h: h * x, sequences=x, outputs_info=h)
    assert text(sized_graph([x, h], [out[5:2:-1], out[-1]])) == lines("""
        input x : float64(8,)
        input h : float64()
        %0 = scan 'scan'[steps=8, sequence[0], recurrence[-1] keeps all](x, h) : float64(8,)
            input 0.x[t] : float64()
            input 0.h[t-1] : float64()
            %0.0 = mul(0.h[t-1], 0.x[t]) : float64()
            return %0.0
        %1 = index[5:2:-1](%0) : float64(3,)
        %2 = index[-1](%0) : float64()
        return %1, %2""")
    assert text(after([SaveReadWindows(least_bytes=0)], [x, h], [out[5:2:-1], out[-1]])) == lines("""
        input x : float64(8,)
        input h : float64()
        %0 = scan 'scan'[steps=8, sequence[0], recurrence[-1] keeps 3:6 and 7:8](x, h) : float64(4,)
            input 0.x[t] : float64()
            input 0.h[t-1] : float64()
            %0.0 = mul(0.h[t-1], 0.x[t]) : float64()
            return %0.0
        %1 = index[2::-1](%0) : float64(3,)
        %2 = index[-1](%0) : float64()
        return %1, %2""")


def saved(step, *reads):
    x, h = float64("x", 8), float64("h")
    out, _ = loopjax.scan(lambda x, h: h * x, sequences=x, outputs_info=h)
    (loop,) = scans(after([step], [x, h], [out[read] for read in reads]))
    return str(loop.outputs[0].saved)


@pytest.mark.parametrize(
    ("limits", "reads", "expected"),
    [
        ({"least_bytes": 7 * 8}, [3], "3:4"),
        ({"least_bytes": 7 * 8 + 1}, [3], "all"),
        ({}, [np.s_[2:6]], "2:6"),
        ({}, [np.s_[2:7]], "all"),
        ({}, [np.s_[4:]], "last 4"),
        ({"most_last": 3}, [np.s_[4:]], "4:8"),
        ({}, [np.s_[::4]], "all"),
        ({"stride_bytes": 8}, [np.s_[1::4]], "1:6:4"),
        ({"stride_bytes": 9}, [np.s_[1::4]], "all"),
        ({}, [1, 4], "1:2 and 4:5"),
        ({}, [1, 4, 6], "all"),
        ({"most_loops": 7}, [1, 4, 6], "1:2 and 4:5 and 6:7"),
        ({"most_loops": 6}, [1, 4, 6], "all"),
        ({}, [np.s_[1:3], np.s_[2:4]], "1:4"),
        ({}, [np.s_[1:3], np.s_[3:4]], "1:4"),
    ],
    ids=str,
)
def test_limits(limits, reads, expected) -> None:
    assert saved(SaveReadWindows(**{"least_bytes": 0, **limits}), *reads) == expected


@pytest.mark.parametrize(("steps", "saves"), [(2**13 + 1, True), (2**13, False)])
def test_limits_by_default(steps, saves) -> None:
    h = float64("h")
    out, _ = loopjax.scan(lambda h: h * h, outputs_info=h, n_steps=steps)
    assert rewrites(SaveReadWindows(), [h], [out[1]]) is saves


@pytest.mark.parametrize(("values", "expected"), [(8, "0:8991:10"), (7, "all")])
def test_limits_of_strides_by_default(values, expected) -> None:
    h = float64("h", values)
    out, _ = loopjax.scan(lambda h: h * h, outputs_info=h, n_steps=10_000)
    (loop,) = scans(after([SaveReadWindows()], [h], [out[:9000:10]]))
    assert str(loop.outputs[0].saved) == expected


@pytest.mark.parametrize("options", [{"progress": True}, {"checkpoint": 2}, {}], ids=str)
def test_limits_of_options(options) -> None:
    h = float64("h")
    out, _ = loopjax.scan(lambda h: h * h, outputs_info=h, n_steps=8, **options)
    assert rewrites(SaveReadWindows(least_bytes=0), [h], [out[1:3]]) is (not options)


def test_limits_of_until() -> None:
    h = float64("h")
    out, _ = loopjax.scan(lambda h: (h * h, loopjax.until(h > 2)), outputs_info=h, n_steps=8)
    assert not rewrites(SaveReadWindows(least_bytes=0), [h], [out * 2])
