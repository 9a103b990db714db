"""An LSTM that names the last mark in sequences of symbols of different lengths.

Most symbols are noise; a few are marks, and the class of a sequence is its last mark. Marks come early and late: the
cell must keep a mark through the noise that follows, and replace it when another mark comes.
"""

from collections import OrderedDict

import numpy

import loopjax as theano
import loopjax.tensor as T

N_MARKS = 3
N_SYMBOLS = 8
GATES = ("input", "forget", "output", "cell")


def floatX(data):
    """An array of the float type in use."""
    return numpy.asarray(data, dtype=theano.config.floatX)


def make_sequences(n_samples, max_length, rng):
    """Symbols and mask ``(max_length, n_samples)``, and classes ``(n_samples,)``; symbols below N_MARKS are marks."""
    x = rng.randint(N_MARKS, N_SYMBOLS, size=(max_length, n_samples))
    mask = numpy.zeros((max_length, n_samples))
    y = numpy.zeros(n_samples, dtype="int64")
    for i in range(n_samples):
        length = rng.randint(max_length // 2, max_length + 1)
        mask[:length, i] = 1
        # Padding may hold any symbol, marks too: the mask must hide it.
        x[length:, i] = rng.randint(0, N_SYMBOLS, size=max_length - length)
        for position in sorted(rng.choice(length, size=2, replace=False)):
            y[i] = x[position, i] = rng.randint(N_MARKS)
    return x.astype("int64"), floatX(mask), y


def init_params(dim_embedding, dim_hidden, rng):
    """The parameters, shared variables by name."""
    params = OrderedDict()

    def weight(name, n_in, n_out):
        bound = numpy.sqrt(6.0 / (n_in + n_out))
        params[name] = theano.shared(floatX(rng.uniform(-bound, bound, size=(n_in, n_out))), name=name)

    params["E"] = theano.shared(floatX(0.5 * rng.randn(N_SYMBOLS, dim_embedding)), name="E")
    for gate in GATES:
        weight("W_" + gate, dim_embedding, dim_hidden)
        weight("U_" + gate, dim_hidden, dim_hidden)
        # A forget gate that starts open keeps the cell's value until it learns to forget.
        start = numpy.ones(dim_hidden) if gate == "forget" else numpy.zeros(dim_hidden)
        params["b_" + gate] = theano.shared(floatX(start), name="b_" + gate)
    weight("V", dim_hidden, N_MARKS)
    params["c"] = theano.shared(floatX(numpy.zeros(N_MARKS)), name="c")
    return params


def lstm(embedded, mask, params):
    """Hidden states ``(n_steps, n_samples, dim_hidden)`` for inputs ``(n_steps, n_samples, dim_embedding)``."""
    n_samples = embedded.shape[1]
    dim_hidden = params["U_input"].shape[0]

    def step(x_t, m_t, h_tm1, c_tm1):
        def preactivation(gate):
            return T.dot(x_t, params["W_" + gate]) + T.dot(h_tm1, params["U_" + gate]) + params["b_" + gate]

        i_t = T.sigmoid(preactivation("input"))
        f_t = T.sigmoid(preactivation("forget"))
        o_t = T.sigmoid(preactivation("output"))
        c_t = f_t * c_tm1 + i_t * T.tanh(preactivation("cell"))
        h_t = o_t * T.tanh(c_t)
        # The state of a sequence that has ended stays.
        c_t = m_t[:, None] * c_t + (1.0 - m_t)[:, None] * c_tm1
        h_t = m_t[:, None] * h_t + (1.0 - m_t)[:, None] * h_tm1
        return h_t, c_t

    zeros = T.alloc(floatX(0.0), n_samples, dim_hidden)
    (hidden, _), _ = theano.scan(step, sequences=[embedded, mask], outputs_info=[zeros, zeros], name="lstm")
    return hidden


def build_model(params):
    """The inputs, the log-probabilities of the classes, and the mean cross-entropy."""
    x = T.lmatrix("x")
    mask = T.matrix("mask")
    y = T.lvector("y")
    n_steps, n_samples = x.shape[0], x.shape[1]
    embedded = params["E"][x.flatten()].reshape((n_steps, n_samples, params["E"].shape[1]))
    last = lstm(embedded, mask, params)[-1]
    log_p = T.log(T.softmax(T.dot(last, params["V"]) + params["c"]))
    cost = -T.mean(log_p[T.arange(y.shape[0]), y])
    return (x, mask, y), log_p, cost


def rmsprop(cost, params, learning_rate, decay=0.9, momentum=0.5, largest_norm=5.0):
    """RMSprop updates with momentum, from gradients whose norm is clipped."""
    grads = T.grad(cost, params)
    norm = T.sqrt(sum(T.sum(g**2) for g in grads))
    scale = T.switch(norm > largest_norm, largest_norm / norm, 1.0)
    updates = OrderedDict()
    for p, g in zip(params, grads, strict=True):
        g = g * scale
        mean_square = theano.shared(p.get_value() * 0)
        velocity = theano.shared(p.get_value() * 0)
        updates[mean_square] = decay * mean_square + (1 - decay) * g**2
        updates[velocity] = momentum * velocity - learning_rate * g / T.sqrt(updates[mean_square] + 1e-6)
        updates[p] = p + updates[velocity]
    return updates


def main(quick=False):
    """Train the classifier; return the cost of each epoch and the accuracy on unseen sequences."""
    n_train, n_epochs, dim_hidden, max_length = (600, 8, 16, 12) if quick else (2000, 20, 32, 24)
    batch_size = 20
    rng = numpy.random.RandomState(1234)
    train = [theano.shared(data, borrow=True) for data in make_sequences(n_train, max_length, rng)]
    x_test, mask_test, y_test = make_sequences(500, max_length, rng)

    params = init_params(8, dim_hidden, rng)
    (x, mask, y), log_p, cost = build_model(params)
    batch = T.lvector("batch")
    train_step = theano.function(
        [batch],
        cost,
        updates=rmsprop(cost, list(params.values()), learning_rate=0.005),
        givens={x: train[0][:, batch], mask: train[1][:, batch], y: train[2][batch]},
    )
    predict = theano.function([x, mask], T.argmax(log_p, axis=1))

    costs = []
    for epoch in range(n_epochs):
        batches = rng.permutation(n_train).reshape(-1, batch_size)
        costs.append(float(numpy.mean([train_step(indices) for indices in batches])))
        print(f"epoch {epoch + 1}: cross-entropy {costs[-1]:.4f}")
    accuracy = float(numpy.mean(numpy.asarray(predict(x_test, mask_test)) == y_test))
    print(f"accuracy on unseen sequences: {accuracy:.3f}")
    return {"costs": costs, "accuracy": accuracy}


if __name__ == "__main__":
    main()
