"""Networks over trees, networks that draw and make music, and samples that are made one number after the other,
float32."""

# ruff: noqa: N803, N806 - matrices have the names that the field gives them

from __future__ import annotations

from typing import Any

from benchmarks.programs.applications import stream

GLIMPSE = 5


def tree_network(aesara: Any) -> Any:
    """Cost of labels of sentences by states of their trees, each made from the states of two parts with a memory (Tai,
    Socher and Manning 2015), and its gradients. ``tree (step, sentence, 3)`` has the places of both parts and of the
    whole; shorter sentences go on with steps whose whole is the last place, which nothing reads; ``root`` are the
    places of whole sentences."""
    at = aesara.tensor
    words, tree = at.ftensor3("words"), at.itensor3("tree")
    root, label = at.ivector("root"), at.ivector("label")
    weights = W, b, W_out = at.fmatrix("W"), at.fvector("b"), at.fmatrix("W_out")
    units, sentence = words.shape[2], at.arange(words.shape[0])

    def join(places: Any, h: Any, c: Any) -> list[Any]:
        left, right, whole = places[:, 0], places[:, 1], places[:, 2]
        both = at.concatenate([h[sentence, left], h[sentence, right]], axis=1)
        inner = at.dot(both, W) + b
        parts = [inner[:, k * units : (k + 1) * units] for k in range(5)]
        enter, keep_left, keep_right, leave = (at.sigmoid(part) for part in parts[:4])
        memory = enter * at.tanh(parts[4]) + keep_left * c[sentence, left] + keep_right * c[sentence, right]
        h = at.set_subtensor(h[sentence, whole], leave * at.tanh(memory))
        return [h, at.set_subtensor(c[sentence, whole], memory)]

    start = at.concatenate([words, at.zeros((words.shape[0], tree.shape[0] + 1, units), dtype="float32")], axis=1)
    (h, _), updates = aesara.scan(join, sequences=tree, outputs_info=[start, at.zeros_like(start)])
    chance = at.softmax(at.dot(h[-1][sentence, root], W_out), axis=1)
    cost = -at.log(chance[sentence, label]).mean()
    slopes = aesara.grad(cost, [words, *weights])
    return aesara.function([words, tree, root, label, *weights], [cost, *slopes], updates=updates)


def canvas(aesara: Any) -> Any:
    """Bound on the likelihood of pictures that a network draws part by part, where it looks, and its gradients (Gregor,
    Danihelka, Graves, Rezende and Wierstra 2015). ``picture (batch, row, column)`` and ``noise (time, batch,
    code)``."""
    at = aesara.tensor
    picture, noise = at.ftensor3("picture"), at.ftensor3("noise")
    names = ("W_look", "W_read", "U_read", "W_code", "W_draw", "U_draw", "W_write")
    weights = W_look, W_read, U_read, W_code, W_draw, U_draw, W_write = [at.fmatrix(name) for name in names]
    batch, size, codes, units = picture.shape[0], picture.shape[1], noise.shape[2], U_read.shape[0]
    pixel = at.arange(size, dtype="float32")
    cell = at.arange(GLIMPSE, dtype="float32") - (GLIMPSE - 1) / 2

    def unit(x: Any, W: Any, h: Any, U: Any, c: Any) -> tuple[Any, Any]:
        inner = at.dot(x, W) + at.dot(h, U)
        enter, keep, leave = (at.sigmoid(inner[:, k * units : (k + 1) * units]) for k in range(3))
        c = keep * c + enter * at.tanh(inner[:, 3 * units :])
        return leave * at.tanh(c), c

    def filters(look: Any) -> tuple[Any, Any, Any]:
        between = at.exp(look[:, 2]) * (size - 1) / (GLIMPSE - 1)
        width = at.exp(look[:, 3]).dimshuffle(0, "x", "x")

        def bank(middle: Any) -> Any:
            centre = (size - 1) * (middle + 1) / 2
            place = centre.dimshuffle(0, "x") + between.dimshuffle(0, "x") * cell
            F = at.exp(-((pixel - place.dimshuffle(0, 1, "x")) ** 2) / (2 * width))
            return F / (F.sum(axis=2, keepdims=True) + 1e-6)

        return bank(look[:, 0]), bank(look[:, 1]), at.exp(look[:, 4]).dimshuffle(0, "x", "x")

    def step(noise_t: Any, drawn: Any, h: Any, c: Any, g: Any, d: Any) -> list[Any]:
        missing = picture - at.sigmoid(drawn)
        F_y, F_x, strength = filters(at.dot(g, W_look))
        F_across = F_x.dimshuffle(0, 2, 1)
        seen = [strength * at.batched_dot(at.batched_dot(F_y, image), F_across) for image in (picture, missing)]
        read = at.concatenate([one.reshape((batch, GLIMPSE * GLIMPSE)) for one in seen] + [g], axis=1)
        h, c = unit(read, W_read, h, U_read, c)
        code = at.dot(h, W_code)
        mean, log_spread = code[:, :codes], code[:, codes:]
        g, d = unit(mean + at.exp(log_spread) * noise_t, W_draw, g, U_draw, d)
        F_y, F_x, strength = filters(at.dot(g, W_look))
        patch = at.dot(g, W_write).reshape((batch, GLIMPSE, GLIMPSE))
        drawn = drawn + at.batched_dot(at.batched_dot(F_y.dimshuffle(0, 2, 1), patch), F_x) / strength
        price = 0.5 * (mean**2 + at.exp(2 * log_spread) - 2 * log_spread - 1).sum(axis=1)
        return [drawn, h, c, g, d, price]

    zeros = at.zeros((batch, units), dtype="float32")
    start = [at.zeros_like(picture), zeros, zeros, zeros, zeros, None]
    (drawn, _, _, _, _, price), updates = aesara.scan(step, sequences=noise, outputs_info=start)
    wrong = (at.softplus(drawn[-1]) - picture * drawn[-1]).sum(axis=(1, 2))
    cost = (wrong + price.sum(axis=0)).mean()
    return aesara.function([picture, noise, *weights], [cost, *aesara.grad(cost, weights)], updates=updates)


def music(aesara: Any, steps: int) -> Any:
    """Contrastive divergence of notes from a machine whose biases a recurrent network moves, and its gradients
    (Boulanger-Lewandowski, Bengio and Vincent 2012): a loop over time, then one of random draws of all times at once.
    ``notes (time, pitch)`` are 0 or 1. Gives the mean error of the last draw's chances, too."""
    at, trng = aesara.tensor, stream(aesara)
    notes = at.fmatrix("notes")
    names = ("W", "b_notes", "b_hidden", "W_notes", "W_hidden", "W_in", "W_state", "b_state")
    weights = W, b_notes, b_hidden, W_notes, W_hidden, W_in, W_state, b_state = [
        at.fvector(name) if name.startswith("b") else at.fmatrix(name) for name in names
    ]

    def state(v: Any, u: Any) -> list[Any]:
        new = at.tanh(b_state + at.dot(v, W_in) + at.dot(u, W_state))
        return [new, b_notes + at.dot(u, W_notes), b_hidden + at.dot(u, W_hidden)]

    start = at.zeros_like(b_state)
    (_, bias, bias_hidden), _ = aesara.scan(state, sequences=notes, outputs_info=[start, None, None])

    def gibbs(v: Any) -> list[Any]:
        chance = at.sigmoid(at.dot(v, W) + bias_hidden)
        h = trng.binomial(n=1, p=chance, size=chance.shape, dtype="float32")
        chance = at.sigmoid(at.dot(h, W.T) + bias)
        return [trng.binomial(n=1, p=chance, size=chance.shape, dtype="float32"), chance]

    (sample, chance), updates = aesara.scan(gibbs, outputs_info=[notes, None], n_steps=steps)
    sample = aesara.gradient.disconnected_grad(sample[-1])

    def energy(v: Any) -> Any:
        return -(v * bias).sum() - at.softplus(at.dot(v, W) + bias_hidden).sum()

    cost = (energy(notes) - energy(sample)) / notes.shape[0]
    error = abs(notes - chance[-1]).mean()
    return aesara.function([notes, *weights], [error, *aesara.grad(cost, weights)], updates=updates)


def flow_sampler(aesara: Any) -> Any:
    """Samples of a masked autoregressive flow, from layers that make one number after the other from noise
    (Papamakarios, Pavlakou and Murray 2017): a loop over layers with a loop over numbers, which come in turned order in
    each layer. ``W_in (layer, number, unit)``, ``W_mid (layer, unit, unit)``, ``W_out (layer, unit, 2 number)``, and
    what masks let through."""
    at = aesara.tensor
    noise = at.fmatrix("noise")
    names = ("W_in", "W_mid", "W_out")
    W_in, W_mid, W_out = (at.ftensor3(name) for name in names)
    M_in, M_mid, M_out = (at.fmatrix(name.replace("W", "M")) for name in names)
    b_in, b_mid, b_out = (at.fmatrix(name.replace("W", "b")) for name in names)
    size = noise.shape[1]

    def layer(V: Any, a: Any, U: Any, b: Any, T: Any, c: Any, x: Any) -> Any:
        noise = x

        def number(i: Any, x: Any) -> Any:
            h = at.maximum(at.dot(x, V * M_in) + a, 0)
            h = at.maximum(at.dot(h, U * M_mid) + b, 0)
            out = at.dot(h, T * M_out) + c
            mean, log_spread = out[:, :size], at.tanh(out[:, size:])
            return at.set_subtensor(x[:, i], noise[:, i] * at.exp(log_spread[:, i]) + mean[:, i])

        x, _ = aesara.scan(number, sequences=at.arange(size), outputs_info=at.zeros_like(x))
        return x[-1][:, ::-1]

    layers = [W_in, b_in, W_mid, b_mid, W_out, b_out]
    x, updates = aesara.scan(layer, sequences=layers, outputs_info=noise)
    arguments = [noise, M_in, M_mid, M_out, *layers]
    return aesara.function(arguments, x[-1], updates=updates)
