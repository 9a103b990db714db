"""Matrix factorization of ratings, with a custom op for the loss and rows updated in place."""

import numpy as np

import loopjax.compat.theano as theano
import loopjax.compat.theano.tensor as T
from loopjax.compat.theano import gof


class SquaredError(gof.Op):
    __props__ = ()

    def make_node(self, prediction, target):
        prediction = T.as_tensor_variable(prediction)
        target = T.as_tensor_variable(target)
        return gof.Apply(self, [prediction, target], [T.dvector()])

    def perform(self, node, inputs, output_storage):
        prediction, target = inputs
        output_storage[0][0] = (prediction - target) ** 2

    def grad(self, inputs, output_gradients):
        prediction, target = inputs
        (g,) = output_gradients
        slope = 2 * (prediction - target) * g
        return [slope, -slope]

    def infer_shape(self, fgraph, node, shapes):
        return [shapes[0]]


def train(n_users=6, n_items=5, rank=2):
    rng = np.random.RandomState(11)
    U, V = [theano.shared(0.5 * rng.randn(n, rank)) for n in (n_users, n_items)]
    users, items = T.lvectors("users", "items")
    ratings = T.dvector("ratings")
    u, v = U[users], V[items]
    cost = T.mean(SquaredError()((u * v).sum(axis=1), ratings))
    g_u, g_v = T.grad(cost, [u, v])
    updates = [(U, T.inc_subtensor(u, -g_u)), (V, T.inc_subtensor(v, -g_v))]
    step = theano.function([users, items, ratings], cost, updates=updates)
    table = rng.randn(n_users, 2).dot(rng.randn(2, n_items))
    rows, columns = [index.ravel() for index in np.indices(table.shape)]
    return [float(step(rows, columns, table.ravel())) for _ in range(60)]
