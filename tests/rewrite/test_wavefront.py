"""Wavefront order: nests of loops as one loop over anti-diagonals."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import loopjax
import loopjax.tensor as at
from loopjax.rewrite.target import Target
from loopjax.rewrite.wavefront import SkewLoops
from tests.planned import planned_for
from tests.rewrite.sized import rewrites, scans

GPU = SkewLoops(Target("gpu"))
ROWS, COLUMNS = 60, 50
RNG = np.random.default_rng(17)
VECTORS = [RNG.normal(size=ROWS), RNG.normal(size=COLUMNS)]
TABLE = [RNG.normal(size=(ROWS + 2, COLUMNS + 2))]
ZERO = np.float64(0)


def softmin(*values):
    return -at.log(sum(at.exp(-value) for value in values))


def vectors():
    return at.dvector("x"), at.dvector("y")


def bordered(cell, read=lambda rows: rows[-1, -1]):
    """A table with a first column, of the cells of its letters and of the diagonal, upper and left neighbour."""
    x, y = vectors()

    def row(a, above):
        first = above[0] + 1
        sequences = [y, above[:-1], above[1:]]
        rest, _ = loopjax.scan(lambda b, *neighbours: cell(a, b, *neighbours), sequences=sequences, outputs_info=first)
        return at.concatenate([first.dimshuffle("x"), rest])

    rows, _ = loopjax.scan(row, sequences=x, outputs_info=at.arange(y.shape[0] + 1, dtype="float64"))
    return [x, y], [read(rows)], VECTORS


def warped(a, b, diagonal, up, left):
    return (a - b) ** 2 + softmin(diagonal, up, left)


def plain(cell, read=lambda rows: rows[-1]):
    """A table without a border, of the cells of its letters and of the upper and left neighbour."""
    x, y = vectors()

    def row(a, above):
        return loopjax.scan(lambda b, up, left: cell(a, b, up, left), sequences=[y, above], outputs_info=a)[0]

    rows, _ = loopjax.scan(row, sequences=x, outputs_info=at.zeros_like(y))
    return [x, y], [read(rows)], VECTORS


def relaxation():
    """A sweep of Gauss and Seidel: neighbours above and to the left are new, those below and to the right old."""
    x = at.dmatrix("x")

    def cell(middle, right, below, diagonal, up, left):
        return at.tanh(middle + 0.3 * right + 0.2 * below - 0.1 * diagonal + 0.5 * up + 0.4 * left)

    def row(r, below, above):
        sequences = [r[1:-1], r[2:], below[1:-1], above[:-2], above[1:-1]]
        inner, _ = loopjax.scan(cell, sequences=sequences, outputs_info=r[0])
        return at.concatenate([r[:1], inner, r[-1:]])

    rows, _ = loopjax.scan(row, sequences=[x[1:-1], x[2:]], outputs_info=x[0])
    return [x], [rows], TABLE


def taps():
    x = at.dmatrix("x")

    def row(r, after, above):
        sequences = [{"input": r, "taps": [0, 1]}, {"input": above, "taps": [0, 1]}]
        cells, _ = loopjax.scan(
            lambda c, d, p, q, left: at.tanh(c + 0.3 * d + 0.2 * p + 0.5 * q + 0.4 * left),
            sequences=sequences,
            outputs_info=after[0],
        )
        return at.concatenate([after[:1], cells])

    rows, _ = loopjax.scan(row, sequences={"input": x, "taps": [0, 1]}, outputs_info=x[0])
    return [x], [rows], TABLE


def affine_gaps():
    """Two states of the rows, one of which changes before the cells, and two of the cells."""
    x, y = vectors()

    def row(a, best, gap):
        gap = at.maximum(best - 3, gap) - 1 + a

        def cell(b, diagonal, down, left, across):
            across = at.maximum(left - 3, across) - 1
            return [at.maximum(diagonal + a * b, at.maximum(down, across)), across]

        low = np.float64(-1e30)
        (rest, _), _ = loopjax.scan(cell, sequences=[y, best[:-1], gap[1:]], outputs_info=[-a, low])
        return [at.concatenate([(-a).dimshuffle("x"), rest]), gap]

    start = at.zeros((y.shape[0] + 1,), dtype="float64")
    (best, gap), _ = loopjax.scan(row, sequences=x, outputs_info=[start, start - 1e3])
    return [x, y], [best[-1, -1], gap[-1]], VECTORS


def two_nests():
    x, y = vectors()

    def row(a, p, q, scale):
        r, _ = loopjax.scan(lambda b, up, left: at.tanh(up + left * b + a), sequences=[y, p], outputs_info=scale)
        s, _ = loopjax.scan(lambda b, up, v, left: at.tanh(up - left * v), sequences=[y, q, r], outputs_info=a)
        return [r + 0.1 * s, s, 0.5 * scale + a, s[-1]]

    zeros = at.zeros_like(y)
    outputs, _ = loopjax.scan(row, sequences=x, outputs_info=[zeros, zeros, np.float64(1), None])
    p, q, scale, last = outputs
    return [x, y], [p[-1], q, scale, last], VECTORS


def vector_letters():
    x, y = at.dmatrix("x"), at.dmatrix("y")

    def row(a, above):
        def cell(b, up, left):
            return ((a - b) ** 2).sum() + at.minimum(up, left)

        return loopjax.scan(cell, sequences=[y, above], outputs_info=ZERO)[0]

    rows, _ = loopjax.scan(row, sequences=x, outputs_info=at.zeros((y.shape[0],), dtype="float64"))
    return [x, y], [rows[-1]], [RNG.normal(size=(ROWS, 3)), RNG.normal(size=(COLUMNS, 3))]


def scores():
    """Cells index a table, whose derivative is singular where no score is."""
    x, y, s = at.lvector("x"), at.lvector("y"), at.dmatrix("s")

    def row(a, above):
        def cell(b, diagonal, up, left):
            return at.sqrt(diagonal + up / s[a, b] + left)

        cells, _ = loopjax.scan(cell, sequences=[y, above[:-1], above[1:]], outputs_info=above[0])
        return at.concatenate([above[:1] * 0.9, cells])

    rows, _ = loopjax.scan(row, sequences=x, outputs_info=at.ones((y.shape[0] + 1,), dtype="float64"))
    letters = [RNG.integers(1, 4, ROWS), RNG.integers(1, 4, COLUMNS)]
    return [x, y, s], [rows[-1]], [*letters, np.triu(RNG.uniform(0.5, 2, (4, 4))) + np.tri(4)]


def reciprocals():
    """Outside of the table there are zeros, of which the derivative is infinite."""
    x = at.dmatrix("x")

    def row(r, above):
        return loopjax.scan(
            lambda c, up, left: 0.3 * up + at.log(c * c) + left / c, sequences=[r, above], outputs_info=ZERO
        )[0]

    rows, _ = loopjax.scan(row, sequences=x, outputs_info=at.zeros((x.shape[1],), dtype="float64"))
    return [x], [rows[-1]], [RNG.uniform(1, 2, (ROWS, COLUMNS))]


def all_rows():
    return plain(lambda a, b, up, left: at.tanh(up + 0.5 * left * b + a), lambda rows: rows)


def last_column():
    return bordered(warped, lambda rows: rows[:, -1])


def reduced():
    return bordered(warped, lambda rows: rows.sum(axis=0))


def greatest():
    local = lambda a, b, diagonal, up, left: at.maximum(at.maximum(diagonal + a * b, 0), up - left)  # noqa: E731
    return bordered(local, lambda rows: rows.max())


def no_upper():
    return bordered(lambda a, b, diagonal, up, left: 0.3 * diagonal + 0.4 * left + a * b)


def agree(inputs, outputs, values):
    """Check results in wavefront order against those of the program as it is written."""
    wanted = loopjax.function(inputs, outputs, mode="FAST_COMPILE")(*values)
    with planned_for("gpu"):
        f = loopjax.function(inputs, outputs)
        found = f(*values)
    assert "wavefront: " in str(loopjax.explain(f))
    for one, other in zip(found, wanted, strict=True):
        assert (one.shape, one.dtype) == (other.shape, other.dtype)
        assert np.isfinite(one).all()
        np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("nest", [last_column, greatest, no_upper, reduced, relaxation, scores, taps])
def test_values(nest):
    agree(*nest())


@pytest.mark.parametrize("nest", [all_rows, affine_gaps, two_nests, vector_letters, reciprocals])
def test_values_and_gradients(nest):
    inputs, outputs, values = nest()
    cost = sum((output * at.cos(output)).sum() for output in outputs)
    wrt = [variable for variable in inputs if variable.dtype == "float64"]
    agree(inputs, [*outputs, *loopjax.grad(cost, wrt)], values)


def test_steps():
    inputs, outputs, values = bordered(warped)
    with planned_for("gpu"):
        f = loopjax.function(inputs, outputs)
        f(*values)
    outer, inner = scans(f.stages[-1].programs[-1].graph)
    assert outer.n_steps == ROWS + COLUMNS
    assert inner.is_map
    assert inner.n_steps == COLUMNS


def rejected(step):
    """True where a nest is left as it is."""
    x, y = (at.tensor("float64", shape=(size,), name=name) for size, name in ((ROWS, "x"), (COLUMNS, "y")))
    start = at.zeros((COLUMNS,), dtype="float64")
    outputs, _ = loopjax.scan(lambda a, above: step(a, y, above), sequences=x, outputs_info=start)
    return not rewrites(GPU, [x, y], [outputs[-1]])


def over(sequences, first=ZERO, cell=lambda b, up, left: up + left * b, **options):
    return loopjax.scan(cell, sequences=sequences, outputs_info=first, **options)[0]


@pytest.mark.parametrize(
    "step",
    [
        lambda a, y, above: over([y, at.concatenate([above[1:], above[:1]])]),
        lambda a, y, above: over([y, above[::-1]]),
        lambda a, y, above: over([y, above], go_backwards=True),
        lambda a, y, above: over([y, above / above.sum()]),
        lambda a, y, above: over([y, above], cell=lambda b, up, left: up + left * b + above[3]),
        lambda a, y, above: over([y, above], cell=lambda b, up, left: (up + left, loopjax.until(left > 3))),
    ],
    ids=["upper right", "reversed", "backwards", "normalized", "one cell of the row before", "until"],
)
def test_rejected(step):
    assert rejected(step)
    assert not rejected(lambda a, y, above: over([y, above]))


def test_cpu_thresholds():
    """Only long tables with enough cells, and elsewhere than in a loop, where steps of several are vectors already."""

    def changes(rows, columns, cell=lambda b, up, left: at.maximum(up, left) + b):
        x, y = (at.tensor("float64", shape=(size,), name=name) for size, name in ((rows, "x"), (columns, "y")))

        def table():
            step = lambda a, above: over([y, above], cell=cell, first=a)  # noqa: E731
            return loopjax.scan(step, sequences=x, outputs_info=at.zeros((columns,), dtype="float64"))[0][-1]

        return rewrites(SkewLoops(), [x, y], [table()])

    assert changes(100, 100)
    assert not changes(60, 60)
    assert not changes(60, 600)
    assert not changes(100, 100, lambda b, up, left: at.tanh(up + left) + b)
    assert changes(300, 60, lambda b, up, left: at.tanh(up + left) + b)
    assert not changes(2000, 8)
    assert changes(2000, 8, lambda b, up, left: at.tanh(up + left) + b)


def test_edit_distance():
    one, two = at.ivector("one"), at.ivector("two")

    def row(letter, above):
        def cell(other, diagonal, up, left):
            return at.minimum(at.minimum(left, up) + 1, diagonal + at.cast(at.neq(other, letter), "int32"))

        first = above[0] + 1
        rest, _ = loopjax.scan(cell, sequences=[two, above[:-1], above[1:]], outputs_info=first)
        return at.concatenate([first.dimshuffle("x"), rest])

    rows, _ = loopjax.scan(row, sequences=one, outputs_info=at.arange(two.shape[0] + 1, dtype="int32"))
    f = loopjax.function([one, two], rows[-1, -1])
    letters = [RNG.integers(0, 3, size).astype("int32") for size in (120, 110)]
    table = np.add.outer(np.arange(121), np.arange(111))
    for i in range(1, 121):
        for j in range(1, 111):
            differs = int(letters[0][i - 1] != letters[1][j - 1])
            table[i, j] = min(table[i - 1, j] + 1, table[i, j - 1] + 1, table[i - 1, j - 1] + differs)
    assert f(*letters) == table[-1, -1]
    assert "wavefront: 120 rows run as 230 anti-diagonals" in str(loopjax.explain(f))


def test_gradient_of_time_warping_as_jax_gives():
    inputs, outputs, values = bordered(warped)

    def cost(x, y):
        def row(above, a):
            def cell(left, now):
                b, diagonal, up = now
                value = (a - b) ** 2 - jax.nn.logsumexp(-jnp.stack([diagonal, up, left]))
                return value, value

            rest = lax.scan(cell, above[0] + 1, (y, above[:-1], above[1:]))[1]
            return jnp.concatenate([above[:1] + 1, rest]), None

        return lax.scan(row, jnp.arange(len(y) + 1.0), x)[0][-1]

    with jax.enable_x64(True):
        wanted = jax.grad(cost, argnums=(0, 1))(*map(jnp.asarray, values))
    with planned_for("gpu"):
        found = loopjax.function(inputs, loopjax.grad(outputs[0], inputs))(*values)
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-12)
