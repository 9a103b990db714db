"""Programs in the style of PyTensor's users: each is inputs, a scalar cost, what to differentiate, and arguments."""

import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytensor
import pytensor.tensor as pt
from pytensor.graph.replace import vectorize_graph
from pytensor.ifelse import ifelse
from pytensor.scan.utils import until

_OPTIONS = {"return_updates": False} if "return_updates" in inspect.signature(pytensor.scan).parameters else {}


def scan(*args, **kwargs):
    """``pytensor.scan`` that returns the outputs."""
    found = pytensor.scan(*args, **_OPTIONS, **kwargs)
    return found if _OPTIONS else found[0]


class Program(NamedTuple):
    """A program: its value and its gradient are compared and timed."""

    inputs: list[Any]
    cost: Any
    wrt: list[Any]
    args: list[Any]


PROGRAMS: dict[str, Callable[[], Program]] = {}
"""The programs by name."""


def program(build):
    """Register a function that makes a program."""
    PROGRAMS[build.__name__.replace("_", "-")] = build
    return build


RNG = np.random.default_rng(0)
SERIES = RNG.normal(size=200)
TABLE = RNG.normal(size=(200, 4))


@program
def running_sum():
    x = pt.dvector("x")
    return Program([x], scan(lambda a, s: s + a**2, x, pt.zeros(()))[-1], [x], [SERIES])


@program
def exponential_smoothing():
    x, a = pt.dvector("x"), pt.dscalar("a")
    level = scan(lambda x_t, s, a: a * x_t + (1 - a) * s, x, x[0], a)
    return Program([x, a], ((x - level) ** 2).mean(), [a], [SERIES, 0.3])


@program
def power_by_an_input():
    x, n = pt.dvector("x"), pt.lscalar("n")
    return Program(
        [x, n],
        scan(lambda p, x: p * x, outputs_info=pt.ones_like(x), non_sequences=x, n_steps=n)[-1].sum(),
        [x],
        [SERIES[:5], 7],
    )


@program
def polynomial():
    c, x = pt.dvector("c"), pt.dscalar("x")
    terms = scan(lambda c_i, i, x: c_i * x**i, [c, pt.arange(c.shape[0])], non_sequences=x)
    return Program([c, x], terms.sum(), [x], [SERIES[:8], 0.7])


@program
def recurrent_network():
    x, w, u = pt.dmatrix("x"), pt.dmatrix("w"), pt.dmatrix("u")
    h = scan(lambda x_t, h, w, u: pt.tanh(x_t @ w + h @ u), x, pt.zeros(8), [w, u])
    return Program(
        [x, w, u], (h[-1] ** 2).sum(), [w, u], [TABLE, 0.3 * RNG.normal(size=(4, 8)), 0.3 * RNG.normal(size=(8, 8))]
    )


@program
def gated_network():
    x, w, u = pt.dmatrix("x"), pt.dmatrix("w"), pt.dmatrix("u")

    def step(x_t, h, w, u):
        gates = x_t @ w + h @ u
        z, candidate = pt.sigmoid(gates[:6]), pt.tanh(gates[6:])
        return (1 - z) * h + z * candidate

    h = scan(step, x, pt.zeros(6), [w, u])
    return Program(
        [x, w, u], (h**2).mean(), [w, u], [TABLE, 0.3 * RNG.normal(size=(4, 12)), 0.3 * RNG.normal(size=(6, 12))]
    )


@program
def batched_network():
    x, w = pt.dtensor3("x"), pt.dmatrix("w")
    h = scan(lambda x_t, h, w: pt.tanh(x_t + h @ w), x, pt.zeros_like(x[0]), w)
    return Program([x, w], (h[-1] ** 2).sum(), [w], [RNG.normal(size=(100, 16, 5)), 0.3 * RNG.normal(size=(5, 5))])


@program
def autoregression():
    x, c = pt.dvector("x"), pt.dvector("c")
    y = scan(lambda e, a, b, c: c[0] * a + c[1] * b + e, x, [{"initial": x[:2], "taps": [-2, -1]}], c)
    return Program([x, c], (y**2).mean(), [c], [SERIES, np.array([0.3, 0.4])])


@program
def moving_average_errors():
    x, c = pt.dvector("x"), pt.dscalar("c")
    errors = scan(lambda a, b, e, c: b - 0.5 * a - c * e, [{"input": x, "taps": [-1, 0]}], pt.zeros(()), c)
    return Program([x, c], (errors**2).sum(), [c], [SERIES, 0.4])


@program
def garch():
    r, p = pt.dvector("r"), pt.dvector("p")
    v = scan(lambda r_t, v, p: p[0] + p[1] * r_t**2 + p[2] * v, r, pt.ones(()), p)
    return Program([r, p], (pt.log(v) + r**2 / v).sum(), [p], [SERIES, np.array([0.1, 0.1, 0.8])])


@program
def scalar_kalman():
    y, q, r = pt.dvector("y"), pt.dscalar("q"), pt.dscalar("r")

    def step(y_t, m, p, q, r):
        p = p + q
        s = p + r
        return m + p / s * (y_t - m), p * r / s, pt.log(s) + (y_t - m) ** 2 / s

    *_, loss = scan(step, y, [pt.zeros(()), pt.ones(()), None], [q, r])
    return Program([y, q, r], loss.sum(), [q, r], [SERIES, 0.5, 1.0])


@program
def matrix_kalman():
    y, a, q = pt.dmatrix("y"), pt.dmatrix("a"), pt.dmatrix("q")

    def step(y_t, m, p, a, q):
        m, p = a @ m, a @ p @ a.T + q
        s = p + pt.eye(3)
        gain = pt.linalg.solve(s, p, assume_a="pos").T
        e = y_t - m
        return m + gain @ e, p - gain @ p, pt.linalg.slogdet(s)[1] + e @ pt.linalg.solve(s, e, assume_a="pos")

    *_, loss = scan(step, y, [pt.zeros(3), pt.eye(3), None], [a, q])
    return Program([y, a, q], loss.sum(), [a, q], [TABLE[:, :3], 0.8 * np.eye(3), 0.3 * np.eye(3)])


@program
def hidden_markov():
    e, t = pt.dmatrix("e"), pt.dmatrix("t")
    alphas = scan(lambda e_t, a, t: e_t + pt.logsumexp(a[:, None] + t, axis=0), e[1:], e[0], t)
    return Program([e, t], pt.logsumexp(alphas[-1]), [t], [TABLE, np.log(np.full((4, 4), 0.25))])


@program
def epidemic():
    b, g = pt.dscalar("b"), pt.dscalar("g")

    def step(s, i, b, g):
        return s - b * s * i, i + b * s * i - g * i

    _, i = scan(step, outputs_info=[np.array(0.99), np.array(0.01)], non_sequences=[b, g], n_steps=150)
    return Program([b, g], i.max() + i.mean(), [b, g], [0.5, 0.1])


@program
def runge_kutta():
    y0, k = pt.dvector("y0"), pt.dscalar("k")

    def f(y, k):
        return pt.stack([y[1], -k * pt.sin(y[0])])

    def step(y, k):
        a = f(y, k)
        b = f(y + 0.005 * a, k)
        c = f(y + 0.005 * b, k)
        d = f(y + 0.01 * c, k)
        return y + 0.01 / 6 * (a + 2 * b + 2 * c + d)

    y = scan(step, outputs_info=y0, non_sequences=k, n_steps=300)
    return Program([y0, k], (y[-1] ** 2).sum(), [y0, k], [np.array([1.0, 0.0]), 9.8])


@program
def newton_until_it_converges():
    a = pt.dscalar("a")
    x = scan(
        lambda x, a: ((x + a / x) / 2, until(pt.abs(x * x - a) < 1e-12)), outputs_info=a, non_sequences=a, n_steps=100
    )
    return Program([a], x[-1], [a], [7.0])


@program
def collatz_like_sum():
    x, m = pt.dscalar("x"), pt.dscalar("m")
    y = scan(lambda y, m: (0.9 * y, until(0.9 * y < m)), outputs_info=x, non_sequences=m, n_steps=1000)
    return Program([x, m], y.sum(), [x], [5.0, 0.01])


@program
def while_with_a_length_that_is_an_input():
    x, n = pt.dvector("x"), pt.lscalar("n")
    y = scan(
        lambda y, x: (pt.tanh(y + x), until((y**2).sum() > 0.9)),
        outputs_info=pt.zeros_like(x),
        non_sequences=x,
        n_steps=n,
    )
    return Program([x, n], (y[-1] ** 2).sum(), [x], [0.1 * SERIES[:4], 40])


@program
def truncated_gradient():
    x, w = pt.dvector("x"), pt.dscalar("w")
    h = scan(lambda x_t, h, w: pt.tanh(w * h + x_t), x, pt.zeros(()), w, truncate_gradient=20)
    return Program([x, w], h[-1], [x, w], [SERIES, 0.5])


@program
def loop_in_a_loop():
    x, w = pt.dmatrix("x"), pt.dscalar("w")

    def row(x_t, c, w):
        return scan(lambda a, s, w: pt.tanh(w * s + a), x_t, c, w)[-1]

    return Program([x, w], (scan(row, x, pt.zeros(()), w) ** 2).sum(), [w], [TABLE, 0.6])


@program
def triangular_loops():
    x = pt.dvector("x")
    sums = scan(
        lambda i, x: scan(lambda a, s: s + a, x[: i + 1], pt.zeros(()))[-1] ** 2, pt.arange(x.shape[0]), non_sequences=x
    )
    return Program([x], sums.sum(), [x], [SERIES[:20]])


@program
def vectorized_loop():
    x, xs = pt.dvector("x"), pt.dmatrix("xs")
    last = scan(lambda a, s: pt.tanh(0.5 * s + a), x, pt.zeros(()))[-1]
    return Program([xs], vectorize_graph(last, {x: xs}).sum(), [xs], [TABLE.T])


@program
def backward_loop():
    r, d = pt.dvector("r"), pt.dscalar("d")
    returns = scan(lambda r_t, g, d: r_t + d * g, r, pt.zeros(()), d, go_backwards=True)
    return Program([r, d], (returns**2).mean(), [d], [SERIES, 0.95])


@program
def jacobian_of_a_loop():
    x = pt.dvector("x")
    y = scan(lambda y, x: pt.tanh(y * x), outputs_info=x, non_sequences=x, n_steps=10)[-1]
    return Program([x], (pt.jacobian(y, x) ** 2).sum(), [], [SERIES[:6]])


@program
def hessian_of_a_loop():
    x = pt.dvector("x")
    y = scan(lambda a, s: pt.tanh(0.5 * s + a), x, pt.zeros(()))[-1]
    return Program([x], (pytensor.gradient.hessian(y, x) ** 2).sum(), [], [SERIES[:10]])


@program
def mask():
    x, least = pt.dvector("x"), pt.dscalar("least")
    return Program([x, least], (x[x > least] ** 2).sum(), [x], [SERIES, 0.2])


@program
def shapes_that_are_values():
    x, n = pt.dvector("x"), pt.lscalar("n")
    return Program([x, n], (pt.zeros((n, 3)) + x[:3]).sum() + pt.arange(n).sum() * x[n], [x], [SERIES, 5])


@program
def window_at_a_value():
    x, i = pt.dvector("x"), pt.lscalar("i")
    return Program([x, i], (x[i : i + 10] ** 2).sum(), [x], [SERIES, 30])


@program
def gaussian_process():
    x, ell = pt.dvector("x"), pt.dscalar("ell")
    k = pt.exp(-(((x[:, None] - x[None]) / ell) ** 2)) + 0.1 * pt.eye(x.shape[0])
    chol = pt.linalg.cholesky(k)
    z = pt.linalg.solve_triangular(chol, pt.sin(x), lower=True)
    return Program([x, ell], (z**2).sum() / 2 + pt.log(pt.diag(chol)).sum(), [ell], [np.linspace(0, 5, 40), 0.7])


@program
def mixture_density():
    x, w, m = pt.dvector("x"), pt.dvector("w"), pt.dvector("m")
    log_w = pt.special.log_softmax(w, axis=0)
    return Program(
        [x, w, m],
        pt.logsumexp(log_w - (x[:, None] - m) ** 2 / 2, axis=1).sum(),
        [w, m],
        [SERIES, np.zeros(4), np.arange(4.0)],
    )


@program
def incomplete_gamma():
    x, a = pt.dvector("x"), pt.dscalar("a")
    return Program([x, a], pt.log(pt.gammainc(a, x)).sum(), [x, a], [np.abs(SERIES) + 0.1, 2.5])


@program
def conditional():
    x = pt.dvector("x")
    return Program([x], ifelse(pt.gt(x.sum(), 0), (x**2).sum(), (x**3).sum()), [x], [SERIES])


@program
def gradient_descent():
    """A gradient in a loop, and the gradient through all of it."""
    x, y, rate = pt.dmatrix("x"), pt.dvector("y"), pt.dscalar("rate")

    def step(w, x, y, rate):
        return w - rate * pt.grad(((x @ w - y) ** 2).mean(), w)

    w = scan(step, outputs_info=pt.zeros(4), non_sequences=[x, y, rate], n_steps=20)[-1]
    return Program([x, y, rate], ((x @ w - y) ** 2).mean(), [rate], [TABLE, SERIES, 0.05])
