"""Integer recurrences, a market and species."""

# ruff: noqa: N806 - matrices have the names that the field gives them

from __future__ import annotations

from typing import Any

DT = 0.01
STEPS = (
    *(7, 8, 9, 10, 11, 12, 13, 14, 16, 17, 19, 21, 23, 25, 28, 31, 34, 37, 41, 45, 50, 55, 60, 66, 73, 80, 88, 97, 107),
    *(
        118,
        130,
        143,
        157,
        173,
        190,
        209,
        230,
        253,
        279,
        307,
        337,
        371,
        408,
        449,
        494,
        544,
        598,
        658,
        724,
        796,
        876,
        963,
    ),
    *(1060, 1166, 1282, 1411, 1552, 1707, 1878, 2066, 2272, 2499, 2749, 3024, 3327, 3660, 4026, 4428, 4871, 5358, 5894),
    *(6484, 7132, 7845, 8630, 9493, 10442, 11487, 12635, 13899, 15289, 16818, 18500, 20350, 22385, 24623, 27086, 29794),
    32767,
)
MOVES = (-1, -1, -1, -1, 2, 4, 6, 8)
LAGS = (55, 24)


def lagged_fibonacci(aesara: Any, state: Any, draws: int) -> Any:
    """Numbers in [0, 1) by the additive generator (Knuth 1997, algorithm 3.2.2A), whose state is a shared variable.
    Uint32, float32."""
    at = aesara.tensor
    state = aesara.shared(state)
    taps = {"initial": state, "taps": [-lag for lag in LAGS]}
    x, updates = aesara.scan(lambda far, near: far + near, outputs_info=taps, n_steps=draws)
    return aesara.function([], at.cast(x // 256, "float32") / 2**24, updates=[*updates.items(), (state, x[-LAGS[0] :])])


def species(aesara: Any, steps: int) -> Any:
    """Numbers of species that compete (Volterra 1931), by the Adams-Bashforth method of four slopes; ``slopes`` has
    those at the last four times, oldest first. Float64."""
    at = aesara.tensor
    A, growth, start, slopes = at.dmatrix("A"), at.dvector("growth"), at.dvector("start"), at.dmatrix("slopes")

    def step(x: Any, f_4: Any, f_3: Any, f_2: Any, f_1: Any) -> list[Any]:
        x = x + DT / 24 * (55 * f_1 - 59 * f_2 + 37 * f_3 - 9 * f_4)
        return [x, x * (growth - at.dot(A, x))]

    taps = {"initial": slopes, "taps": [-4, -3, -2, -1]}
    (x, _), updates = aesara.scan(step, outputs_info=[start, taps], n_steps=steps)
    return aesara.function([A, growth, start, slopes], x, updates=updates)


def order_book(aesara: Any, levels: int) -> Any:
    """Amounts traded and the best prices after each order of a market with limit orders (Smith et al. 2003): an order
    takes what the other side offers up to its price, the best first, and the rest of it waits. Int32."""
    at = aesara.tensor
    buys, price, amount = at.ivector("buys"), at.ivector("price"), at.ivector("amount")
    level = at.cast(at.arange(levels), "int32")
    none = at.zeros((levels,), dtype="int32")

    def taken(offers: Any, amount_t: Any) -> Any:
        before = at.cast(at.cumsum(offers), "int32") - offers
        return at.clip(amount_t - before, 0, offers)

    def order(buys_t: Any, price_t: Any, amount_t: Any, bids: Any, asks: Any) -> list[Any]:
        from_asks = taken(at.switch(level <= price_t, asks, 0), amount_t)
        from_bids = taken(at.switch(level >= price_t, bids, 0)[::-1], amount_t)[::-1]
        buyer = at.eq(buys_t, 1)
        asks, bids = at.switch(buyer, asks - from_asks, asks), at.switch(buyer, bids, bids - from_bids)
        traded = at.cast(at.switch(buyer, from_asks, from_bids).sum(), "int32")
        rest = amount_t - traded
        bids = at.inc_subtensor(bids[price_t], at.switch(buyer, rest, 0))
        asks = at.inc_subtensor(asks[price_t], at.switch(buyer, 0, rest))
        best_bid = at.max(at.switch(bids > 0, level, -1))
        best_ask = at.min(at.switch(asks > 0, level, levels))
        return [bids, asks, traded, at.cast(best_bid, "int32"), at.cast(best_ask, "int32")]

    (bids, asks, *found), updates = aesara.scan(
        order, sequences=[buys, price, amount], outputs_info=[none, none, None, None, None]
    )
    return aesara.function([buys, price, amount], [*found, bids[-1], asks[-1]], updates=updates)


def speech_coder(aesara: Any, step_sizes: Any, moves: Any) -> Any:
    """Codes of four bits for the samples of a sound, by adaptive differences (IMA ADPCM 1992); both tables are shared
    variables. Int32."""
    at = aesara.tensor
    step_sizes, moves, sound = aesara.shared(step_sizes), aesara.shared(moves), at.ivector("sound")

    def encode(sample: Any, guess: Any, index: Any) -> list[Any]:
        size = step_sizes[index]
        error = sample - guess
        sign = at.switch(error < 0, 8, 0)
        error = abs(error)
        four = at.ge(error, size)
        error = at.switch(four, error - size, error)
        two = at.ge(error, size // 2)
        error = at.switch(two, error - size // 2, error)
        one = at.ge(error, size // 4)
        change = size // 8 + at.switch(four, size, 0) + at.switch(two, size // 2, 0) + at.switch(one, size // 4, 0)
        guess = at.clip(at.switch(sign > 0, guess - change, guess + change), -32768, 32767)
        code = at.switch(four, 4, 0) + at.switch(two, 2, 0) + at.switch(one, 1, 0)
        index = at.clip(index + moves[code], 0, 88)
        return [at.cast(guess, "int32"), at.cast(index, "int32"), at.cast(sign + code, "int32")]

    zero = at.zeros((), dtype="int32")
    (guess, _, code), updates = aesara.scan(encode, sequences=sound, outputs_info=[zero, zero, None])
    return aesara.function([sound], [code, guess], updates=updates)
