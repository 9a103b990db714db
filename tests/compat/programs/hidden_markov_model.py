"""A hidden Markov model trained by the gradient of its likelihood, forward algorithm in a scan."""

import numpy as np

import loopjax.compat.aesara as aesara
import loopjax.compat.aesara.tensor as at


def train(n_states=3, n_symbols=4):
    rng = np.random.RandomState(6)
    start = aesara.shared(rng.randn(n_states), name="start")
    moves = aesara.shared(rng.randn(n_states, n_states), name="moves")
    shows = aesara.shared(rng.randn(n_states, n_symbols), name="shows")
    observed = at.lvector("observed")
    log_start = at.special.log_softmax(start)
    log_moves = at.special.log_softmax(moves, axis=1)
    log_shows = at.special.log_softmax(shows, axis=1)

    def forward(symbol, alpha, log_moves, log_shows):
        return at.logsumexp(alpha[:, None] + log_moves, axis=0) + log_shows[:, symbol]

    alphas, updates = aesara.scan(
        forward,
        sequences=[observed[1:]],
        outputs_info=[log_start + log_shows[:, observed[0]]],
        non_sequences=[log_moves, log_shows],
        strict=True,
    )
    cost = -at.logsumexp(alphas[-1])
    params = [start, moves, shows]
    step = aesara.function([observed], cost, updates=[(p, p - 0.05 * g) for p, g in zip(params, at.grad(cost, params))])
    return [float(step(np.arange(16) % 4)) for _ in range(40)]
