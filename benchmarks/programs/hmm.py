"""Forward algorithm of a hidden Markov model, in log space."""

# ruff: noqa: N803, N806 - matrices have the names that the field gives them

from __future__ import annotations

from typing import Any


def hmm(aesara: Any, gradient: bool) -> Any:
    """Log-likelihood of ``seen (T,)``, or its gradient with respect to the log-probabilities ``start (n,)``,
    ``A (n, n)`` and ``B (n, symbols)``."""
    at = aesara.tensor
    seen, start, A, B = at.ivector("seen"), at.dvector("start"), at.dmatrix("A"), at.dmatrix("B")
    alpha, updates = aesara.scan(
        fn=lambda symbol, alpha, A, B: at.logsumexp(alpha.dimshuffle(0, "x") + A, axis=0) + B[:, symbol],
        sequences=seen[1:],
        outputs_info=start + B[:, seen[0]],
        non_sequences=[A, B],
    )
    likelihood = at.logsumexp(alpha[-1])
    outputs = aesara.grad(likelihood, [start, A, B]) if gradient else likelihood
    return aesara.function([seen, start, A, B], outputs, updates=updates)
