"""Texts, labels, clicks and parts of pictures."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from benchmarks.compare import TIGHT, close
from benchmarks.programs.seen import symbols
from benchmarks.programs.seen.symbols import ALPHA, BETA, FAR, L1, L2
from benchmarks.workload import Scale
from benchmarks.workloads.applications.task import Inputs, inputs, task

PATTERN = 32


def _genome(rng: np.random.Generator, scale: Scale) -> Inputs:
    length, patterns = scale.steps(20_000, quick=150), scale.pick(8, quick=2)
    pattern, text = rng.integers(0, 4, (patterns, PATTERN)), rng.integers(0, 4, length)
    for place in rng.integers(0, length - PATTERN, length // 100):
        one = pattern[rng.integers(0, patterns)]
        text[place : place + PATTERN] = np.where(rng.random(PATTERN) < 0.9, one, rng.integers(0, 4, PATTERN))
    bit = 2 ** np.arange(PATTERN, dtype="uint64")
    table = ((pattern == np.arange(4)[:, None, None]) * bit).sum(axis=2)
    return inputs(text.astype("int32"), table.astype("uint32"), np.int32(6))


def _letter(carry: tuple[Any, Any, Any], equal: Any) -> tuple[Any, Any]:
    up, down, score = carry
    vertical = equal | down
    horizontal = (((equal & up) + up) ^ up) | equal
    more = down | ~(horizontal | up)
    less = up & horizontal
    score = score + (more >> 31).astype("int32") - (less >> 31).astype("int32")
    more, less = more << 1, less << 1
    return (less | ~(vertical | more), more & vertical, score), score


def _approximate_search(text: Any, table: Any, most: Any) -> list[Any]:
    none = jnp.zeros_like(table[0])
    start = (~none, none, none.astype("int32") + PATTERN)
    score = lax.scan(_letter, start, table[text])[1]
    return [score, (score <= most).sum(axis=0, dtype="int32")]


def _approximate_search_tuned(text: Any, table: Any, most: Any) -> list[Any]:
    """Parts of the text at once, each from 64 letters before it: no match with at most 32 changes is longer."""
    early, length, patterns = 2 * PATTERN, len(text), table.shape[1]
    parts = max(1, min(32, length // early))
    size = -(-length // parts)
    padded = jnp.pad(text, (early, parts * size - length))
    place = np.arange(early + size)[:, None] + size * np.arange(parts)
    equal = jnp.where((place < early)[:, :, None], np.uint32(0), table[padded[place]])
    none = jnp.zeros((parts, patterns), "uint32")
    score = lax.scan(_letter, (~none, none, none.astype("int32") + PATTERN), equal)[1][early:]
    score = score.swapaxes(0, 1).reshape(parts * size, patterns)[:length]
    return [score, (score <= most).sum(axis=0, dtype="int32")]


def _utterances(rng: np.random.Generator, scale: Scale) -> Inputs:
    steps, labels, batch = scale.steps(200, quick=6), scale.pick(40, quick=3), scale.pick(8, quick=2)
    logit = rng.normal(size=(steps, labels + 1, batch, 30))
    chance = logit - np.log(np.exp(logit).sum(axis=3, keepdims=True))
    return inputs(chance[..., 0].astype("float32"), chance[:, :-1, :, 1].astype("float32"))


def _transducer(blank: Any, label: Any) -> list[Any]:
    def cost(blank: Any, label: Any) -> Any:
        def along(label_t: Any, waited: Any) -> Any:
            def say(before: Any, now: tuple[Any, Any]) -> tuple[Any, Any]:
                said, waited_u = now
                alpha = jnp.logaddexp(waited_u, before + said)
                return alpha, alpha

            rest = lax.scan(say, waited[0], (label_t, waited[1:]))[1]
            return jnp.concatenate([waited[:1], rest])

        def time(alpha: Any, now: tuple[Any, Any]) -> tuple[Any, None]:
            label_t, blank_before = now
            return along(label_t, alpha + blank_before), None

        first = along(label[0], jnp.full_like(blank[0], FAR).at[0].set(0.0))
        alpha, _ = lax.scan(time, first, (label[1:], blank[:-1]))
        return -(alpha[-1] + blank[-1, -1]).sum()

    value, slopes = jax.value_and_grad(cost, argnums=(0, 1))(blank, label)
    return [value, *slopes]


def _transducer_tuned(blank: Any, label: Any) -> list[Any]:
    """Diagonals, on which no cell waits for another; chances from the start and, on the turned table, to the end by one
    loop; the gradient is the chance of each step."""
    steps, columns, batch = blank.shape
    count = steps + columns - 1

    def skewed(table: Any) -> Any:
        """Diagonals, the first axis, of a table of columns: each column one later than that before."""
        longer = jnp.pad(table.swapaxes(0, 1), ((0, 0), (0, columns), (0, 0)), constant_values=FAR)
        flat = longer.reshape(-1, batch)[: columns * count]
        return flat.reshape(columns, count, batch).swapaxes(0, 1)

    def straight(diagonals: Any) -> Any:
        flat = diagonals.swapaxes(0, 1).reshape(-1, batch)
        longer = jnp.pad(flat, ((0, columns), (0, 0)))
        return longer.reshape(columns, count + 1, batch)[:, :steps].swapaxes(0, 1)

    padded = jnp.concatenate([label, jnp.full_like(blank[:, :1], FAR)], axis=1)
    waits = jnp.stack([skewed(blank)[:-1], skewed(blank[::-1, ::-1])[1:]], axis=1)
    says = jnp.stack([skewed(padded)[:-1], skewed(padded[::-1, ::-1])[1:]], axis=1)
    none = jnp.full((1, batch), FAR)

    def step(carry: Any, now: tuple[Any, Any]) -> tuple[Any, Any]:
        wait, say = now
        said = jnp.concatenate([none, (carry[0] + say[0])[:-1], none, carry[1][:-1]]).reshape(carry.shape)
        said = said + jnp.stack([jnp.zeros_like(say[1]), say[1]])
        waited = carry + wait
        most = jnp.maximum(said, waited)
        new = most + jnp.log1p(jnp.exp(-jnp.abs(said - waited)))
        return new, new

    first = jnp.full((2, columns, batch), FAR).at[:, 0].set(jnp.stack([jnp.zeros(batch), blank[-1, -1]]))
    found = jnp.concatenate([first[None], lax.scan(step, first, (waits, says))[1]])
    alpha, beta = straight(found[:, 0]), straight(found[:, 1])[::-1, ::-1]
    total = alpha[-1, -1] + blank[-1, -1]
    after = jnp.concatenate([beta[1:], jnp.full_like(beta[:1], FAR).at[0, -1].set(0.0)])
    of_blank = -jnp.exp(alpha + blank + after - total)
    of_label = -jnp.exp(alpha[:, :-1] + label + beta[:, 1:] - total)
    return [-total.sum(), of_blank, of_label]


def _clicks(rng: np.random.Generator, scale: Scale) -> Inputs:
    steps, fields, each = scale.steps(3_000, quick=40), scale.pick(16, quick=4), scale.pick(1_024, quick=8)
    rare = np.minimum(rng.zipf(1.3, (steps, fields)) - 1, 10**6) * 7 % each
    feature = rare + each * np.arange(fields)
    logit = -1 + rng.normal(size=fields * each)[feature].sum(axis=1) / 2
    click = rng.random(steps) < 1 / (1 + np.exp(-logit))
    return inputs(feature.astype("int32"), click.astype("float32"), size=fields * each)


def _weight(z: Any, n: Any) -> Any:
    found = (jnp.sign(z) * L1 - z) / ((BETA + jnp.sqrt(n)) / ALPHA + L2)
    return jnp.where(jnp.abs(z) <= L1, 0.0, found)


def _click_learning(feature: Any, click: Any, size: int) -> list[Any]:
    def step(carry: tuple[Any, Any], now: tuple[Any, Any]) -> tuple[Any, Any]:
        z, n = carry
        feature_t, click_t = now
        own_z, own_n = z[feature_t], n[feature_t]
        w = _weight(own_z, own_n)
        logit = w.sum()
        g = jax.nn.sigmoid(logit) - click_t
        by = (jnp.sqrt(own_n + g**2) - jnp.sqrt(own_n)) / ALPHA
        z, n = z.at[feature_t].add(g - by * w), n.at[feature_t].add(g**2)
        return (z, n), jax.nn.softplus(logit) - click_t * logit

    start = (jnp.zeros(size), jnp.zeros(size))
    (z, n), loss = lax.scan(step, start, (feature, click))
    return [loss, (_weight(z, n) != 0).sum(dtype="int32")]


def _click_learning_tuned(feature: Any, click: Any, size: int) -> list[Any]:
    """Both sums of a feature side by side, read and written at once; roots of the sums of squares for these sums;
    losses after the loop."""

    def step(table: Any, now: tuple[Any, Any]) -> tuple[Any, Any]:
        feature_t, click_t = now
        own = table.at[feature_t].get(mode="promise_in_bounds", unique_indices=True)
        z, root = own[:, 0], own[:, 1]
        w = jnp.where(jnp.abs(z) <= L1, 0.0, (jnp.sign(z) * L1 - z) / (root * (1 / ALPHA) + (BETA / ALPHA + L2)))
        logit = w.sum()
        g = jax.nn.sigmoid(logit) - click_t
        longer = jnp.sqrt(root * root + g * g)
        z = z + g - (longer - root) * (1 / ALPHA) * w
        new = jnp.stack([z, longer], axis=1)
        return table.at[feature_t].set(new, mode="promise_in_bounds", unique_indices=True), logit

    table, logit = lax.scan(step, jnp.zeros((size, 2)), (feature, click))
    used = (_weight(table[:, 0], table[:, 1] ** 2) != 0).sum(dtype="int32")
    return [jax.nn.softplus(logit) - click * logit, used]


def _picture(rng: np.random.Generator, scale: Scale) -> Inputs:
    size = scale.pick(96, quick=10)
    return inputs((rng.random((size, size)) < 0.6).astype("int32"), most=scale.steps(5_000))


def _components(picture: Any, most: int) -> list[Any]:
    rows, columns = picture.shape
    places = jnp.arange(1, rows * columns + 1, dtype="int32").reshape(rows, columns)

    def spread(carry: tuple[Any, Any, Any]) -> tuple[Any, Any, Any]:
        i, label, _ = carry
        around = jnp.pad(label, 1)
        across = jnp.maximum(around[1:-1, 2:], around[1:-1, :-2])
        along = jnp.maximum(around[2:, 1:-1], around[:-2, 1:-1])
        found = picture * jnp.maximum(label, jnp.maximum(across, along))
        return i + 1, found, (found != label).any()

    def goes_on(carry: tuple[Any, Any, Any]) -> Any:
        return (carry[0] < most) & carry[2]

    _, label, _ = lax.while_loop(goes_on, spread, (0, picture * places, True))
    return [((label == places) & (picture == 1)).sum(dtype="int32"), label]


def _components_tuned(picture: Any, most: int) -> list[Any]:
    """Larger labels of neighbours also go to the cell that a label names, and each cell takes the label of the cell
    that its own names, twice, so that labels jump (Shiloach and Vishkin 1982): a few rounds."""
    rows, columns = picture.shape
    size = rows * columns
    inside = picture == 1
    places = jnp.arange(1, size + 1, dtype="int32").reshape(rows, columns)

    def spread(carry: tuple[Any, Any]) -> tuple[Any, Any]:
        label, _ = carry
        around = jnp.pad(label, 1)
        across = jnp.maximum(around[1:-1, 2:], around[1:-1, :-2])
        along = jnp.maximum(around[2:, 1:-1], around[:-2, 1:-1])
        best = jnp.where(inside, jnp.maximum(label, jnp.maximum(across, along)), 0).ravel()
        table = jnp.concatenate([jnp.zeros(1, "int32"), best])
        table = table.at[label.ravel()].max(best, mode="promise_in_bounds").at[0].set(0)
        found = table.at[table.at[best].get(mode="promise_in_bounds")].get(mode="promise_in_bounds")
        found = found.reshape(rows, columns)
        return found, (found != label).any()

    label, _ = lax.while_loop(lambda carry: carry[1], spread, (picture * places, True))
    return [((label == places) & inside).sum(dtype="int32"), label]


WORKLOADS = (
    task(
        "approximate-search",
        "8 patterns of 32 letters in a text of 20,000 with changes, by words of 32 bits",
        symbols.approximate_search,
        _genome,
        _approximate_search,
        _approximate_search_tuned,
        TIGHT,
    ),
    task(
        "transducer-grad",
        "40 labels over 200 times that wait or say the next label, batch 8, with gradients",
        symbols.transducer,
        _utterances,
        _transducer,
        _transducer_tuned,
        close(1e-3),
    ),
    task(
        "click-learning",
        "3,000 clicks with 16 features of 16,384 each, learned one by one",
        symbols.click_learning,
        _clicks,
        _click_learning,
        _click_learning_tuned,
        close(1e-3),
    ),
    task(
        "components",
        "connected parts of a picture of 96 by 96 cells, until no label changes",
        symbols.components,
        _picture,
        _components,
        _components_tuned,
        TIGHT,
    ),
)
