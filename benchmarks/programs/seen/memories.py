"""Recurrent networks with memory, attention and normalization, float32."""

# ruff: noqa: N806 - matrices have the names that the field gives them

from __future__ import annotations

from typing import Any

from benchmarks.programs.applications import stream

SMALL = 1e-6
COVERAGE = 0.5


def turing_machine(aesara: Any) -> Any:
    """Cross-entropy of a neural Turing machine with one head that writes and one that reads (Graves, Wayne and
    Danihelka 2014), and its gradient. ``x (time, batch, width)``; the memory starts as ``M (slot, width)`` for each of
    the batch. Heads look for a key, keep to the last place or move to a neighbour."""
    at = aesara.tensor
    x, target = at.ftensor3("x"), at.ftensor3("target")
    names = ("W_x", "W_read", "b", "W_head", "W_out", "M")
    weights = W_x, W_read, b, W_head, W_out, M = [at.fvector(n) if n == "b" else at.fmatrix(n) for n in names]
    batch, slots, width = x.shape[1], M.shape[0], M.shape[1]

    def column(array: Any, k: int) -> Any:
        return array[:, k].dimshuffle(0, "x")

    def place(memory: Any, given: Any, before: Any) -> Any:
        key, rest = at.tanh(given[:, :width]), given[:, width : width + 6]
        norm = at.sqrt((memory**2).sum(axis=2)) * at.sqrt((key**2).sum(axis=1, keepdims=True))
        alike = (memory * key.dimshuffle(0, "x", 1)).sum(axis=2) / (norm + SMALL)
        found = at.special.softmax(at.softplus(column(rest, 0)) * alike, axis=1)
        gate = at.sigmoid(column(rest, 1))
        mixed = gate * found + (1 - gate) * before
        shift = at.special.softmax(rest[:, 2:5], axis=1)
        moved = column(shift, 0) * at.roll(mixed, -1, axis=1) + column(shift, 1) * mixed
        moved = moved + column(shift, 2) * at.roll(mixed, 1, axis=1)
        sharp = moved ** (1 + at.softplus(column(rest, 5)))
        return sharp / sharp.sum(axis=1, keepdims=True)

    def step(x_t: Any, memory: Any, read: Any, at_write: Any, at_read: Any) -> list[Any]:
        h = at.tanh(at.dot(x_t, W_x) + at.dot(read, W_read) + b)
        head = at.dot(h, W_head)
        at_write = place(memory, head[:, : width + 6], at_write)
        erase = at.sigmoid(head[:, 2 * width + 12 : 3 * width + 12])
        add = at.tanh(head[:, 3 * width + 12 :])
        spread = at_write.dimshuffle(0, 1, "x")
        memory = memory * (1 - spread * erase.dimshuffle(0, "x", 1)) + spread * add.dimshuffle(0, "x", 1)
        at_read = place(memory, head[:, width + 6 : 2 * width + 12], at_read)
        read = (at_read.dimshuffle(0, 1, "x") * memory).sum(axis=1)
        return [memory, read, at_write, at_read, h]

    everywhere = at.zeros((batch, slots), dtype="float32") + at.cast(1.0 / slots, "float32")
    memory = at.zeros((batch, 1, 1), dtype="float32") + M
    start = [memory, at.zeros((batch, width), dtype="float32"), everywhere, everywhere, None]
    (_, read, _, _, h), updates = aesara.scan(step, sequences=x, outputs_info=start)
    logit = at.dot(at.concatenate([h, read], axis=2), W_out)
    cost = (at.softplus(logit) - target * logit).mean()
    return aesara.function([x, target, *weights], [cost, *aesara.grad(cost, weights)], updates=updates)


def normalized_gates(aesara: Any) -> Any:
    """Squared error of gated recurrent units whose inner values are normalized over the units (Ba, Kiros and Hinton
    2016; Hafner, Lillicrap, Norouzi and Ba 2021), and its gradient. ``x (time, batch, width)``."""
    at = aesara.tensor
    x, target = at.ftensor3("x"), at.ftensor3("target")
    W, scale, shift, W_out = weights = [at.fmatrix("W"), at.fvector("scale"), at.fvector("shift"), at.fmatrix("W_out")]
    units = W_out.shape[0]

    def step(x_t: Any, h: Any) -> Any:
        inner = at.dot(at.concatenate([x_t, h], axis=1), W)
        apart = inner - inner.mean(axis=1, keepdims=True)
        inner = apart / at.sqrt((apart**2).mean(axis=1, keepdims=True) + 1e-5) * scale + shift
        reset = at.sigmoid(inner[:, :units])
        new = at.tanh(reset * inner[:, units : 2 * units])
        update = at.sigmoid(inner[:, 2 * units :] - 1)
        return update * new + (1 - update) * h

    start = at.zeros((x.shape[1], units), dtype="float32")
    h, updates = aesara.scan(step, sequences=x, outputs_info=start)
    cost = ((at.dot(h, W_out) - target) ** 2).mean()
    return aesara.function([x, target, *weights], [cost, *aesara.grad(cost, weights)], updates=updates)


def covering_attention(aesara: Any) -> Any:
    """Cross-entropy of the words of a decoder that attends to a text and to what it has attended to before (Bahdanau,
    Cho and Bengio 2015; See, Liu and Manning 2017), with a price for what is attended to twice, and its gradient.
    ``memory (batch, place, width)``, ``mask`` is 0 past the end of a text, ``word (time, batch)``."""
    at = aesara.tensor
    memory, mask, word, following = (
        at.ftensor3("memory"),
        at.fmatrix("mask"),
        at.imatrix("word"),
        at.imatrix("following"),
    )
    names = ("embedding", "W_memory", "W_query", "w_cover", "v", "W_x", "W_c", "U", "W_out")
    weights = [at.fvector(n) if n in ("w_cover", "v") else at.fmatrix(n) for n in names]
    embedding, W_memory, W_query, w_cover, v, W_x, W_c, U, W_out = weights
    units = U.shape[0]
    keys = at.dot(memory, W_memory)

    def step(x_t: Any, h: Any, cover: Any) -> list[Any]:
        query = at.dot(h, W_query).dimshuffle(0, "x", 1)
        score = at.dot(at.tanh(keys + query + cover.dimshuffle(0, 1, "x") * w_cover), v)
        weight = at.exp(score - score.max(axis=1, keepdims=True)) * mask
        weight = weight / weight.sum(axis=1, keepdims=True)
        twice = at.minimum(weight, cover).sum(axis=1)
        context = (weight.dimshuffle(0, 1, "x") * memory).sum(axis=1)
        given = at.dot(x_t, W_x) + at.dot(context, W_c)
        gates = at.sigmoid(given[:, : 2 * units] + at.dot(h, U[:, : 2 * units]))
        reset, update = gates[:, :units], gates[:, units:]
        new = at.tanh(given[:, 2 * units :] + at.dot(reset * h, U[:, 2 * units :]))
        return [update * h + (1 - update) * new, cover + weight, context, twice]

    zeros = at.zeros((memory.shape[0], units), dtype="float32")
    start = [zeros, at.zeros_like(mask), None, None]
    (h, _, context, twice), updates = aesara.scan(step, sequences=embedding[word], outputs_info=start)
    logit = at.dot(at.concatenate([h, context], axis=2), W_out)
    chance = at.special.log_softmax(logit, axis=2).reshape((-1, W_out.shape[1]))
    words = following.flatten()
    cost = -chance[at.arange(words.shape[0]), words].mean() + COVERAGE * twice.mean()
    arguments = [memory, mask, word, following, *weights]
    return aesara.function(arguments, [cost, *aesara.grad(cost, weights)], updates=updates)


def character_sampler(aesara: Any, characters: int) -> Any:
    """Mean logarithm of the chances of the characters that a language model of one LSTM layer writes, each drawn and
    read at the next step (Hochreiter and Schmidhuber 1997; Graves 2013), several texts at once."""
    at, trng = aesara.tensor, stream(aesara)
    first, temperature = at.ivector("first"), at.fscalar("temperature")
    embedding, W, U, b, W_out = (
        at.fmatrix("embedding"),
        at.fmatrix("W"),
        at.fmatrix("U"),
        at.fvector("b"),
        at.fmatrix("W_out"),
    )
    units, texts = U.shape[0], first.shape[0]

    def step(character: Any, h: Any, c: Any) -> list[Any]:
        inner = at.dot(embedding[character], W) + at.dot(h, U) + b
        gates = at.sigmoid(inner[:, : 3 * units])
        c = gates[:, :units] * at.tanh(inner[:, 3 * units :]) + gates[:, units : 2 * units] * c
        h = gates[:, 2 * units :] * at.tanh(c)
        chance = at.special.softmax(at.dot(h, W_out) / temperature, axis=1)
        character = at.cast(trng.categorical(chance), "int32")
        return [character, h, c, at.log(chance[at.arange(texts), character]).mean()]

    zeros = at.zeros((texts, units), dtype="float32")
    start = [first, zeros, zeros, None]
    (*_, gained), updates = aesara.scan(step, outputs_info=start, n_steps=characters)
    arguments = [first, temperature, embedding, W, U, b, W_out]
    return aesara.function(arguments, gained.mean(), updates=updates)
