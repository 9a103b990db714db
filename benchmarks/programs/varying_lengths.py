"""Programs that are called with many lengths: networks, filters, samplers, alignments and searches.

Each is a function that returns its inputs, outputs and updates, and a function of a length ``n`` to arguments of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

import loopjax
import loopjax.tensor as at
from loopjax.random import RandomStream


class Given(NamedTuple):
    """A program, and its arguments for a length."""

    inputs: Sequence[Any]
    outputs: Sequence[Any]
    updates: dict[Any, Any]
    arguments: Callable[[int], Sequence[Any]]

    def function(self, lengths: str = "auto") -> loopjax.Function:
        """Return the program as a function."""
        return loopjax.function(self.inputs, self.outputs, updates=self.updates, lengths=lengths)


def _numbers(*shape: int) -> np.ndarray[Any, Any]:
    return np.random.default_rng(0).normal(size=shape)


def _with_gradients(cost: Any, *wrt: Any) -> list[Any]:
    return [cost, *loopjax.grad(cost, list(wrt))]


def noise() -> Given:
    """Noise for each of n particles at each step."""
    n, stream = at.lscalar("n"), RandomStream(3)
    start = at.zeros(n, dtype="float64")
    out, updates = loopjax.scan(lambda h: 0.9 * h + stream.normal(size=(n,)), outputs_info=start, n_steps=4)
    return Given([n], [out[-1]], updates, lambda k: (k,))


def ragged_network() -> Given:
    """Recurrent network over a ragged minibatch, its longest example of n rows: cost and gradient."""
    x, lengths, weights = at.dtensor3("x"), at.lvector("lengths"), at.dmatrix("weights")
    start = at.zeros((x.shape[1], 2), dtype="float64")
    out, _ = loopjax.scan(lambda x, h, w: at.tanh(x @ w + h), x, start, weights, lengths=lengths)
    cost = (out[-1] ** 2).sum()
    arguments = lambda k: (np.ones((k, 3, 2)), np.array([k, 1, k - 1]), np.full((2, 2), 0.1))  # noqa: E731
    return Given([x, lengths, weights], _with_gradients(cost, weights), {}, arguments)


def attention() -> Given:
    """Causal attention over n positions, and the gradient of its squares."""
    x, weights = at.dmatrix("x"), at.dmatrix("weights")
    scores = at.dot(at.dot(x, weights), x.T)
    causal = at.tril(at.ones((x.shape[0], x.shape[0])))
    out = at.dot(at.nnet.softmax(at.switch(causal > 0, scores, -1e9)), x)
    arguments = lambda k: (np.linspace(-1, 1, 2 * k).reshape(k, 2), np.eye(2))  # noqa: E731
    return Given([x, weights], [out, loopjax.grad((out**2).sum(), weights)], {}, arguments)


def kalman_filter() -> Given:
    """Log-likelihood of n observations of a linear Gaussian state, and its gradient."""
    y, a = at.dvector("y"), at.dmatrix("a")
    c = at.constant(np.array([1.0, 0.5]))

    def step(y_t: Any, m: Any, p: Any, total: Any) -> Any:
        m, p = a @ m, a @ p @ a.T + 0.1 * at.eye(2)
        spread = c @ p @ c + 0.2
        error, gain = y_t - c @ m, p @ c / spread
        total = total - 0.5 * (at.log(spread) + error**2 / spread)
        return m + gain * error, p - at.outer(gain, c @ p), total

    (_, _, total), _ = loopjax.scan(step, y, [np.zeros(2), np.eye(2), np.float64(0)])
    return Given([y, a], _with_gradients(total[-1], a), {}, lambda k: (_numbers(k), 0.9 * np.eye(2)))


def edit_distance() -> Given:
    """Edit distance of two words of n and of 3 n / 2 letters."""
    one, other = at.lvector("one"), at.lvector("other")

    def row(letter: Any, above: Any) -> Any:
        costs = at.minimum(above[1:] + 1, above[:-1] + at.neq(other, letter))
        first = above[0] + 1
        cells, _ = loopjax.scan(lambda cost, left: at.minimum(left + 1, cost), costs, first)
        return at.concatenate([first.dimshuffle("x"), cells])

    rows, _ = loopjax.scan(row, one, at.arange(other.shape[0] + 1))
    letters = lambda k: np.random.default_rng(k).integers(0, 4, k)  # noqa: E731
    return Given([one, other], [rows[-1, -1]], {}, lambda k: (letters(k), letters(3 * k // 2)))


def language_model() -> Given:
    """Language model of gated recurrent units over a ragged minibatch of words: cost and gradients."""
    words, counts = at.lmatrix("words"), at.lvector("counts")
    table, gates, new = at.dmatrix("table"), at.dmatrix("gates"), at.dmatrix("new")

    def step(x: Any, h: Any) -> Any:
        both = at.sigmoid(at.concatenate([x, h], axis=1) @ gates)
        z, r = both[:, :8], both[:, 8:]
        return z * h + (1 - z) * at.tanh(at.concatenate([x, r * h], axis=1) @ new)

    h, _ = loopjax.scan(step, table[words], at.zeros((words.shape[1], 8), dtype="float64"))
    scores = at.log_softmax(h[:-1] @ table.T, axis=-1)
    rows, columns = at.arange(words.shape[0] - 1).dimshuffle(0, "x"), at.arange(words.shape[1]).dimshuffle("x", 0)
    taken = scores[rows, columns, words[1:]]
    cost = -(taken * (rows + 1 < counts)).sum() / counts.sum()

    def arguments(k: int) -> Sequence[Any]:
        words = np.random.default_rng(k).integers(0, 12, (k, 4))
        return words, np.array([k, k // 2, k - 1, 2]), _numbers(12, 8), 0.3 * _numbers(16, 16), 0.3 * _numbers(16, 8)

    return Given([words, counts, table, gates, new], _with_gradients(cost, table, gates, new), {}, arguments)


def hidden_markov_model() -> Given:
    """Log-likelihood of n symbols by the forward recursion, and its gradient."""
    symbols, moves, emits = at.lvector("symbols"), at.dmatrix("moves"), at.dmatrix("emits")
    log_moves, log_emits = at.log_softmax(moves, axis=1), at.log_softmax(emits, axis=1)

    def step(symbol: Any, alpha: Any) -> Any:
        return at.logsumexp(alpha.dimshuffle(0, "x") + log_moves, axis=0) + log_emits[:, symbol]

    alpha, _ = loopjax.scan(step, symbols, at.constant(np.log(np.full(4, 0.25))))
    cost = at.logsumexp(alpha[-1], axis=0)
    arguments = lambda k: (np.random.default_rng(k).integers(0, 5, k), _numbers(4, 4), _numbers(4, 5))  # noqa: E731
    return Given([symbols, moves, emits], _with_gradients(cost, moves, emits), {}, arguments)


def particle_filter() -> Given:
    """Bootstrap filter of n particles over 10 observations, with resampling at every step."""
    n, y, stream = at.lscalar("n"), at.dvector("y"), RandomStream(5)

    def step(y_t: Any, x: Any) -> Any:
        moved = 0.9 * x + stream.normal(size=(n,))
        weights = at.nnet.softmax(-0.5 * (y_t - moved) ** 2)
        places = (at.arange(n) + stream.uniform()) / n
        chosen = at.minimum(at.searchsorted(at.cumsum(weights), places), n - 1)
        return moved[chosen], (weights * moved).sum()

    (_, means), updates = loopjax.scan(step, y, [at.zeros(n, dtype="float64"), None])
    return Given([n, y], [means], updates, lambda k: (k, _numbers(10)))


def gibbs_sampler() -> Given:
    """Gibbs sampler of two correlated Gaussians: mean and last sample of n sweeps."""
    n, rho, stream = at.lscalar("n"), at.dscalar("rho"), RandomStream(7)

    def sweep(x: Any, y: Any) -> Any:
        x = rho * y + at.sqrt(1 - rho**2) * stream.normal()
        return x, rho * x + at.sqrt(1 - rho**2) * stream.normal()

    (x, y), updates = loopjax.scan(sweep, outputs_info=[np.float64(0), np.float64(0)], n_steps=n)
    return Given([n, rho], [x.mean(), y[-1]], updates, lambda k: (k, 0.8))


def ctc_loss() -> Given:
    """Connectionist temporal classification of n frames with n / 4 labels: cost and gradient."""
    scores, labels = at.dmatrix("scores"), at.lvector("labels")
    logs = at.log_softmax(scores, axis=1)
    blank = at.zeros_like(labels)
    pairs = at.stack([blank, labels], axis=1).reshape((-1,))
    states = at.concatenate([pairs, at.zeros(1, dtype="int64")])
    skips = at.concatenate([at.zeros(2, dtype="bool"), at.and_(states[2:] > 0, at.neq(states[2:], states[:-2]))])
    none = at.constant(np.full(2, -1e30))

    def step(log: Any, alpha: Any) -> Any:
        back = at.concatenate([none, alpha])
        stay = at.logaddexp(alpha, back[1:-1])
        return at.switch(skips, at.logaddexp(stay, back[:-2]), stay) + log[states]

    start = at.switch(at.arange(states.shape[0]) < 1, 0.0, -1e30)
    alpha, _ = loopjax.scan(step, logs, start)
    cost = -at.logaddexp(alpha[-1, -1], alpha[-1, -2])

    def arguments(k: int) -> Sequence[Any]:
        return _numbers(k, 6), np.random.default_rng(k).integers(1, 6, k // 4)

    return Given([scores, labels], _with_gradients(cost, scores), {}, arguments)


def beam_search() -> Given:
    """Beam search of width 4 over n steps of 6 symbols: the scores, and the symbols of the last step."""
    logs, moves = at.dmatrix("logs"), at.dmatrix("moves")

    def step(log: Any, scores: Any, last: Any) -> Any:
        every = (scores.dimshuffle(0, "x") + moves[last] + log).reshape((24,))
        best = at.argsort(every)[-4:]
        return every[best], best % 6

    start = [np.array([0.0, -1e9, -1e9, -1e9]), np.zeros(4, "int64")]
    (scores, symbols), _ = loopjax.scan(step, logs, start)
    return Given([logs, moves], [scores[-1], symbols[-1]], {}, lambda k: (_numbers(k, 6), _numbers(6, 6)))


def lstm() -> Given:
    """Long short-term memory over n rows: cost and gradient."""
    x, w = at.dmatrix("x"), at.dmatrix("w")

    def step(x_t: Any, h: Any, c: Any) -> Any:
        gates = at.concatenate([x_t, h]) @ w
        i, f, o, g = (gates[8 * k : 8 * k + 8] for k in range(4))
        c = at.sigmoid(f) * c + at.sigmoid(i) * at.tanh(g)
        return at.sigmoid(o) * at.tanh(c), c

    (h, _), _ = loopjax.scan(step, x, [np.zeros(8), np.zeros(8)])
    return Given([x, w], _with_gradients((h**2).mean(), w), {}, lambda k: (_numbers(k, 4), 0.3 * _numbers(12, 32)))


def bidirectional_network() -> Given:
    """Recurrent network over n rows in both directions: cost and gradient."""
    x, w = at.dmatrix("x"), at.dmatrix("w")

    def states(go_backwards: bool) -> Any:
        step = lambda x_t, h: at.tanh(x_t @ w + 0.5 * h)  # noqa: E731
        return loopjax.scan(step, x, np.zeros(6), go_backwards=go_backwards)[0]

    both = at.concatenate([states(False), states(True)[::-1]], axis=1)
    return Given([x, w], _with_gradients((both.max(0) ** 2).sum(), w), {}, lambda k: (_numbers(k, 4), _numbers(4, 6)))


def autoregression() -> Given:
    """Simulation of n steps that read the last three, with noise."""
    n, start, stream = at.lscalar("n"), at.dvector("start"), RandomStream(9)
    out, updates = loopjax.scan(
        lambda a, b, c: 0.5 * c - 0.3 * b + 0.1 * a + stream.normal(),
        outputs_info={"initial": start, "taps": [-3, -2, -1]},
        n_steps=n,
    )
    return Given([n, start], [out, out.std()], updates, lambda k: (k, np.zeros(3)))


def neural_ode() -> Given:
    """Differential equation of a network by n steps of Runge-Kutta: end, and gradient of its squares."""
    n, x, w = at.lscalar("n"), at.dvector("x"), at.dmatrix("w")
    size = 1.0 / n

    def step(x: Any) -> Any:
        slope = lambda x: at.tanh(x @ w)  # noqa: E731
        a = slope(x)
        b = slope(x + 0.5 * size * a)
        return x + size * slope(x + size * (2 * b - a))

    out, _ = loopjax.scan(step, outputs_info=x, n_steps=n)
    end = out[-1]
    return Given([n, x, w], _with_gradients((end**2).sum(), x, w), {}, lambda k: (k, _numbers(5), _numbers(5, 5)))


def moving_quantile() -> Given:
    """Median of each window of 5 of n numbers, by sorting."""
    x = at.dvector("x")
    out, _ = loopjax.map(lambda i: at.sort(x[i : i + 5])[2], at.arange(x.shape[0] - 4))
    return Given([x], [out], {}, lambda k: (_numbers(k),))


def growing_top() -> Given:
    """Sum of the three greatest of the first 3, 4, ... of n numbers."""
    x = at.dvector("x")
    out, _ = loopjax.map(lambda i: at.sort(x[: i + 3])[-3:].sum(), at.arange(x.shape[0] - 2))
    return Given([x], [out], {}, lambda k: (_numbers(k),))


def gaussian_process() -> Given:
    """Log-likelihood of a Gaussian process at n points by the Cholesky factor, and its gradient."""
    x, y, scale = at.dvector("x"), at.dvector("y"), at.dscalar("scale")
    distance = (x.dimshuffle(0, "x") - x.dimshuffle("x", 0)) ** 2
    factor = at.linalg.cholesky(at.exp(-distance / scale) + 0.1 * at.eye(x.shape[0]))
    white = at.linalg.solve_triangular(factor, y, lower=True)
    cost = 0.5 * (white**2).sum() + at.log(at.diag(factor)).sum()
    return Given([x, y, scale], _with_gradients(cost, scale), {}, lambda k: (_numbers(k), np.sin(_numbers(k)), 0.5))


def k_means() -> Given:
    """Ten steps of k-means of 3 means over n points."""
    x, means = at.dmatrix("x"), at.dmatrix("means")

    def step(means: Any) -> Any:
        distance = ((x.dimshuffle(0, "x", 1) - means) ** 2).sum(2)
        near = at.eq(at.argmin(distance, axis=1).dimshuffle(0, "x"), at.arange(3)).astype("float64")
        return near.T @ x / at.maximum(near.sum(0), 1.0).dimshuffle(0, "x")

    out, _ = loopjax.scan(step, outputs_info=means, n_steps=10)
    return Given([x, means], [out[-1]], {}, lambda k: (_numbers(k, 2), np.array([[-1.0, 0.0], [0.0, 1.0], [1.0, 0.0]])))


def minibatches() -> Given:
    """Gradient steps of a regression over minibatches of 8 of n examples, the last of which may have fewer."""
    x, y, w = at.dmatrix("x"), at.dvector("y"), at.dvector("w")

    def step(i: Any, w: Any) -> Any:
        rows, wanted = x[8 * i : 8 * i + 8], y[8 * i : 8 * i + 8]
        return w - 0.01 * loopjax.grad(((rows @ w - wanted) ** 2).sum(), w)

    out, _ = loopjax.scan(step, at.arange((x.shape[0] + 7) // 8), w)
    return Given([x, y, w], [out[-1]], {}, lambda k: (_numbers(k, 3), _numbers(k), np.zeros(3)))


PROGRAMS: tuple[Callable[[], Given], ...] = (
    noise,
    ragged_network,
    attention,
    kalman_filter,
    edit_distance,
    language_model,
    hidden_markov_model,
    particle_filter,
    gibbs_sampler,
    ctc_loss,
    beam_search,
    lstm,
    bidirectional_network,
    autoregression,
    neural_ode,
    moving_quantile,
    growing_top,
    gaussian_process,
    k_means,
    minibatches,
)
