"""An aesara program of the transition years: Python 3, moved names, RandomStream, at.
"""
import aesara
import aesara.tensor as at
import numpy as np
from aesara.tensor.random.utils import RandomStream
from aesara.scan.utils import until
from aesara.graph.basic import ancestors

srng = RandomStream(3)
x = at.matrix("x")
W = aesara.shared(np.eye(3) * 0.5, name="W")


def newton(v, A):
    new = v - (at.dot(A, v) - 1.0) * 0.5
    return new, until(at.max(at.abs_(new - v)) < 1e-10)


solution, _ = aesara.scan(newton, outputs_info=at.zeros(3), non_sequences=W, n_steps=500)
f = aesara.function([], solution[-1])
print(np.round(f(), 6).tolist())
noise = srng.normal(0, 1, size=(1000,))
draw = aesara.function([], noise.mean())
print(abs(draw()) < 0.2, draw() != draw())
cost = at.sum(at.nnet.sigmoid(at.dot(x, W)) ** 2)
g = aesara.function([x], aesara.grad(cost, W))
print(np.round(g(np.ones((2, 3))), 5)[0].tolist(), W in list(ancestors([cost])))
half = 7 / 2  # of Python 3
print(half, len(np.arange(10)[: int(half)]))
