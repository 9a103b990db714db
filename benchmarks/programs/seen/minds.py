"""Words from pairs of letters, a language model that remembers, objects in a picture and games by chance."""

# ruff: noqa: N803, N806 - matrices have the names that the field gives them

from __future__ import annotations

from typing import Any

from benchmarks.programs.applications import stream, until

LAYERS, HEADS = 2, 4
ROWS, COLUMNS = 6, 7
WAYS = (1, ROWS, ROWS + 1, ROWS + 2)


def byte_pairs(aesara: Any, letters: int, merges: int) -> Any:
    """Pairs of symbols that become one symbol, each time the most frequent pair (Gage 1994; Sennrich, Haddow and Birch
    2016), and the length of the text after each: a loop with one over the text, which writes it anew. Int32."""
    at = aesara.tensor
    text = at.ivector("text")
    size = text.shape[0]
    most = letters + merges
    place = at.arange(size, dtype="int32")

    def merge(new: Any, text: Any, length: Any) -> list[Any]:
        after = at.concatenate([text[1:], text[:1]])
        pair = text * most + after
        counts = at.zeros((most * most,), dtype="int32")
        counts = at.inc_subtensor(counts[pair], at.cast(place + 1 < length, "int32"))
        best = at.cast(at.argmax(counts), "int32")

        def put(i: Any, written: Any, end: Any, skips: Any) -> list[Any]:
            here = at.eq(pair[i], best) & (i + 1 < length) & at.eq(skips, 0)
            stays = (i < length) & at.eq(skips, 0)
            symbol = at.switch(here, new, text[i])
            written = at.set_subtensor(written[end], at.switch(stays, symbol, written[end]))
            return [written, end + at.cast(stays, "int32"), at.cast(here, "int32")]

        zero = at.constant(0, dtype="int32")
        (written, end, _), _ = aesara.scan(put, sequences=place, outputs_info=[at.zeros_like(text), zero, zero])
        return [written[-1], end[-1], best]

    start = [text, at.cast(size, "int32"), None]
    symbols = at.arange(letters, most, dtype="int32")
    (_, length, pair), updates = aesara.scan(merge, sequences=symbols, outputs_info=start)
    return aesara.function([text], [pair, length], updates=updates)


def cached_attention(aesara: Any, steps: int) -> Any:
    """Words that a language model of some layers writes, each the likeliest after those before it, whose keys and
    values are kept (Vaswani et al. 2017; Pope et al. 2022). ``first (text)``, ``words (word, unit)``, ``places (time,
    unit)``; weights have a layer first. Float32 and int32."""
    at = aesara.tensor
    first, words, places = at.ivector("first"), at.fmatrix("words"), at.fmatrix("places")
    weights = W_q, W_k, W_v, W_o, W_in, W_out = [at.ftensor3(name) for name in ("Wq", "Wk", "Wv", "Wo", "Win", "Wout")]
    texts, units = first.shape[0], words.shape[1]
    width = units // HEADS
    time = at.arange(steps)

    def normal(x: Any) -> Any:
        return x / at.sqrt((x**2).mean(axis=1, keepdims=True) + 1e-5)

    def heads(x: Any) -> Any:
        return x.reshape((texts, HEADS, width))

    def step(t: Any, place: Any, word: Any, K: Any, V: Any) -> list[Any]:
        x = words[word] + place
        for layer in range(LAYERS):
            y = normal(x)
            q = heads(at.dot(y, W_q[layer]))
            K = at.set_subtensor(K[layer, t], heads(at.dot(y, W_k[layer])))
            V = at.set_subtensor(V[layer, t], heads(at.dot(y, W_v[layer])))
            scores = (K[layer] * q).sum(axis=3) / at.sqrt(at.cast(width, "float32"))
            scores = at.switch((time <= t).dimshuffle(0, "x", "x"), scores, -1e9)
            share = at.softmax(scores, axis=0)
            seen = (share.dimshuffle(0, 1, 2, "x") * V[layer]).sum(axis=0).reshape((texts, units))
            x = x + at.dot(seen, W_o[layer])
            x = x + at.dot(at.maximum(at.dot(normal(x), W_in[layer]), 0), W_out[layer])
        word = at.cast(at.argmax(at.dot(normal(x), words.T), axis=1), "int32")
        return [word, K, V]

    empty = at.zeros((LAYERS, steps, texts, HEADS, width), dtype="float32")
    outputs = [first, empty, empty]
    (word, _, _), updates = aesara.scan(step, sequences=[time, places], outputs_info=outputs)
    return aesara.function([first, words, places, *weights], word, updates=updates)


def slot_attention(aesara: Any, rounds: int) -> Any:
    """Squared error of slots for the objects of pictures, for which slots compete by attention in some rounds of a
    gated unit (Locatello et al. 2020), and its gradients. ``parts (picture, part, unit)``, ``slots (picture, slot,
    unit)``. Float32."""
    at = aesara.tensor
    parts, slots, wanted = at.ftensor3("parts"), at.ftensor3("slots"), at.ftensor3("wanted")
    names = ("W_k", "W_v", "W_q", "W_gates", "U_gates", "W_new", "U_new", "W_in", "W_out")
    weights = W_k, W_v, W_q, W_gates, U_gates, W_new, U_new, W_in, W_out = [at.fmatrix(name) for name in names]
    pictures, number, units = slots.shape[0], slots.shape[1], slots.shape[2]

    def normal(x: Any) -> Any:
        x = x - x.mean(axis=-1, keepdims=True)
        return x / at.sqrt((x**2).mean(axis=-1, keepdims=True) + 1e-5)

    seen = normal(parts)
    k, v = at.dot(seen, W_k), at.dot(seen, W_v)

    def step(slots: Any) -> Any:
        q = at.dot(normal(slots), W_q)
        scores = at.batched_dot(k, q.dimshuffle(0, 2, 1)) / at.sqrt(at.cast(units, "float32"))
        share = at.softmax(scores, axis=2) + 1e-6
        share = share / share.sum(axis=1, keepdims=True)
        found = at.batched_dot(share.dimshuffle(0, 2, 1), v).reshape((pictures * number, units))
        flat = slots.reshape((pictures * number, units))
        gates = at.sigmoid(at.dot(found, W_gates) + at.dot(flat, U_gates))
        keep, use = gates[:, :units], gates[:, units:]
        new = at.tanh(at.dot(found, W_new) + at.dot(use * flat, U_new))
        flat = keep * flat + (1 - keep) * new
        flat = flat + at.dot(at.maximum(at.dot(normal(flat), W_in), 0), W_out)
        return flat.reshape((pictures, number, units))

    last, updates = aesara.scan(step, outputs_info=slots, n_steps=rounds)
    cost = ((last[-1] - wanted) ** 2).mean()
    return aesara.function([parts, slots, wanted, *weights], [cost, *aesara.grad(cost, weights)], updates=updates)


def playouts(aesara: Any) -> Any:
    """Mean value to the first player and mean share of the board that is filled of games of four in a row by chance
    (Allis 1988), until all have ended, as boards of bits (Tromp 2008); columns have weights. ``first`` and ``second``
    are the stones of both players and ``height`` of columns at the start. Int64 and float64."""
    at, trng = aesara.tensor, stream(aesara)
    weight, power = at.dvector("weight"), at.lvector("power")
    first, second, height = at.lvector("first"), at.lvector("second"), at.lmatrix("height")
    game = at.arange(first.shape[0])

    def four(stones: Any) -> Any:
        won = at.zeros_like(stones, dtype="bool")
        for way in WAYS:
            two = stones & (stones // 2**way)
            won = won | at.neq(two & (two // 2 ** (2 * way)), 0)
        return won

    def step(own: Any, other: Any, height: Any, sign: Any, value: Any, plays: Any) -> Any:
        u = trng.uniform(size=height.shape, dtype="float64")
        wish = at.switch(height < ROWS, at.log(weight) - at.log(-at.log(u)), -1e9)
        column = at.argmax(wish, axis=1)
        stone = power[column * (ROWS + 1) + height[game, column]]
        own = at.switch(plays, own | stone, own)
        height = at.inc_subtensor(height[game, column], at.cast(plays, "int64"))
        won = plays & four(own)
        value = at.switch(won, sign, value)
        plays = plays & at.invert(won) & (height.sum(axis=1) < ROWS * COLUMNS)
        return [other, own, height, -sign, value, plays], until(aesara, at.invert(plays.any()))

    zeros, one = at.zeros_like(weight[0] * first), at.constant(1.0, dtype="float64")
    outputs = [first, second, height, one, zeros, at.ones_like(first, dtype="bool")]
    found, updates = aesara.scan(step, outputs_info=outputs, n_steps=ROWS * COLUMNS)
    filled = found[2][-1].sum(axis=1).mean() / (ROWS * COLUMNS)
    arguments = [weight, power, first, second, height]
    return aesara.function(arguments, at.stack([found[4][-1].mean(), filled]), updates=updates)
