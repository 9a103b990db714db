"""Q-learning with a target network that is refreshed by updates, and Huber's loss by switch."""

import numpy as np

import loopjax.compat.theano as theano
import loopjax.compat.theano.tensor as T


class Network(object):
    def __init__(self, rng):
        self.W = theano.shared(0.1 * rng.randn(5, 2), name="W")
        self.b = theano.shared(np.zeros((1, 2)), name="b", broadcastable=(True, False))

    def q_vals(self, states):
        return T.dot(states, self.W) + self.b

    @property
    def params(self):
        return [self.W, self.b]


def train():
    rng = np.random.RandomState(9)
    online, target = Network(rng), Network(rng)
    states, next_states = T.matrix("states"), T.matrix("next_states")
    rewards = T.col("rewards")
    actions = T.icol("actions")
    terminals = T.icol("terminals")
    q = online.q_vals(states)
    next_q = theano.gradient.disconnected_grad(target.q_vals(next_states))
    wanted = rewards + (T.ones_like(terminals) - terminals) * 0.9 * T.max(next_q, axis=1, keepdims=True)
    chosen = q[T.arange(actions.shape[0]), actions.reshape((-1,))].reshape((-1, 1))
    diff = wanted - chosen
    quadratic_part = T.minimum(abs(diff), 1.0)
    linear_part = abs(diff) - quadratic_part
    loss = T.mean(0.5 * quadratic_part**2 + linear_part)
    updates = [(p, p - 0.5 * g) for p, g in zip(online.params, T.grad(loss, online.params))]
    step = theano.function([states, actions, rewards, next_states, terminals], loss, updates=updates)
    refresh = theano.function([], [], updates=list(zip(target.params, online.params)))
    act = theano.function([states], T.argmax(online.q_vals(states), axis=1))
    here = rng.randint(5, size=60)
    moved = rng.randint(2, size=60)
    there = np.clip(here + 2 * moved - 1, 0, 4)
    reward = (there == 4) * 1.0
    eye = np.eye(5)
    losses = []
    for number in range(80):
        if number % 10 == 0:
            refresh()
        losses.append(
            float(
                step(
                    eye[here],
                    moved[:, None].astype("int32"),
                    reward[:, None],
                    eye[there],
                    (there == 4)[:, None].astype("int32"),
                )
            )
        )
    assert np.all(act(eye)[:4] == 1)
    return [np.mean(losses[:5]), np.mean(losses[-5:])]
