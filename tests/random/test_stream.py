"""Random streams: explicit state, fresh draws, and keys that are never used twice."""

import itertools
import os
import subprocess
import sys
import threading

import jax
import numpy as np
import pytest

import loopjax
import loopjax.tensor as at
from loopjax.random import RandomStream


def test_each_call_draws_afresh():
    f = loopjax.function([], RandomStream(1).normal(size=(4,)))
    rows = np.array([np.asarray(f()) for _ in range(5)])
    assert len(np.unique(rows)) == rows.size


def test_same_seed_same_numbers():
    def run(seed):
        stream = RandomStream(seed)
        f = loopjax.function([], [stream.uniform(size=3), stream.integers(0, 1000, size=3)])
        return [np.asarray(one) for _ in range(3) for one in f()]

    for one, other in zip(run(5), run(5), strict=True):
        np.testing.assert_array_equal(one, other)
    assert all((one != other).any() for one, other in zip(run(5), run(6), strict=True))


def test_known_numbers():
    """A change of these is a change for everyone who has fixed a seed."""
    f = loopjax.function([], RandomStream(42).uniform(size=3))
    key = jax.random.fold_in(jax.random.key(42), 0)
    np.testing.assert_array_equal(f(), jax.random.uniform(key, (3,)))
    key = jax.random.fold_in(key, 2**32 - 1)
    np.testing.assert_array_equal(f(), jax.random.uniform(key, (3,)))


def test_a_draw_is_one_value_within_a_call():
    drawn = RandomStream(1).normal(size=3)
    one, other, double = loopjax.function([], [drawn, drawn + 0, drawn * 2])()
    np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(double, one * 2)


def keys_of(streams, calls, steps):
    """The keys that draws used: of every stream, draw and call, and of every step of a loop."""
    used = []
    for seed, draws in streams:
        stream = RandomStream(seed)
        outside = [stream.normal() for _ in range(draws)]
        shared = [key for key, _ in stream.state_updates]
        assert len(shared) == len(outside) == draws
        update = loopjax.function([], outside)
        for _ in range(calls):
            for key in shared:
                root = key.get_value()
                used.append(root)
                used.extend(jax.random.fold_in(root, step) for step in range(steps))
            update()
    return [tuple(np.asarray(jax.random.key_data(key)).tolist()) for key in used]


def test_seeds_draws_calls_and_steps_never_share_a_key():
    used = keys_of([(0, 3), (1, 3), (2, 2), (2**32 - 1, 2)], calls=4, steps=5)
    assert len(used) == 10 * 4 * 6
    assert len(set(used)) == len(used)


def test_steps_of_a_loop_draw_afresh_and_its_updates_carry_on():
    stream = RandomStream(3)
    drawn, updates = loopjax.scan(lambda: stream.normal(size=2), n_steps=4)
    f = loopjax.function([], drawn, updates=updates)
    rows = np.array([np.asarray(f()) for _ in range(3)])
    assert len(np.unique(rows)) == rows.size
    still = loopjax.function([], drawn)
    np.testing.assert_array_equal(still(), still())


def test_a_draw_outside_is_a_constant_in_a_loop():
    drawn = RandomStream(3).normal()
    values, _ = loopjax.scan(lambda: drawn * 1, n_steps=4)
    found = np.asarray(loopjax.function([], values)())
    assert len(np.unique(found)) == 1


def test_no_default_updates_stands_still():
    drawn = RandomStream(1).uniform(size=3)
    frozen = loopjax.function([], drawn, no_default_updates=True)
    np.testing.assert_array_equal(frozen(), frozen())
    live = loopjax.function([], drawn)
    first = np.asarray(live())
    assert (np.asarray(live()) != first).all()
    assert (np.asarray(frozen()) != first).all()


def test_eval_stands_still():
    drawn = RandomStream(1).uniform(size=3)
    np.testing.assert_array_equal(drawn.eval(), drawn.eval())


def test_seed_starts_again():
    stream = RandomStream(1)
    f = loopjax.function([], [stream.uniform(size=3), stream.normal(size=3)])
    first = [np.asarray(one) for one in f()]
    f()
    stream.seed(1)
    for one, other in zip(f(), first, strict=True):
        np.testing.assert_array_equal(one, other)
    stream.seed(2)
    other = RandomStream(2)
    fresh = loopjax.function([], [other.uniform(size=3), other.normal(size=3)])
    for one, wanted in zip(f(), fresh(), strict=True):
        np.testing.assert_array_equal(one, wanted)


def test_no_seed_takes_one_from_the_system():
    found = {float(loopjax.function([], RandomStream().uniform())()) for _ in range(4)}
    assert len(found) == 4
    stream = RandomStream(1)
    drawn = stream.uniform()
    before = float(drawn.eval())
    stream.seed()
    assert float(drawn.eval()) != before


def test_updates_are_those_of_the_draws():
    stream = RandomStream(1)
    drawn = stream.normal()
    stream.uniform()
    assert stream.updates() == stream.state_updates
    assert len(stream.updates()) == 2
    f = loopjax.function([], drawn, updates=stream.updates())
    assert float(f()) != float(f())


def test_an_update_may_be_overridden():
    stream = RandomStream(1)
    drawn = stream.normal()
    ((key, _),) = stream.updates()
    f = loopjax.function([], drawn, updates={key: key})
    assert float(f()) == float(f())


SIZES = [(None, ()), ((), ()), (3, (3,)), ((2, 3), (2, 3)), ([2, 0], (2, 0)), (np.array([2, 2]), (2, 2))]


@pytest.mark.parametrize(("size", "shape"), SIZES)
def test_sizes(size, shape):
    drawn = RandomStream(1).uniform(size=size)
    assert drawn.type.shape == shape
    assert loopjax.function([], drawn)().shape == shape


def test_symbolic_sizes():
    x, n = at.dmatrix(), at.lscalar()
    stream = RandomStream(1)
    outputs = [
        stream.normal(size=x.shape),
        stream.normal(size=(n, 2)),
        stream.normal(0, 1, n),
        stream.normal(size=(x.shape[1] + n,)),
    ]
    f = loopjax.function([x, n], outputs)
    for rows, columns, count in [(2, 3, 4), (1, 5, 2)]:
        shapes = [one.shape for one in f(np.zeros((rows, columns)), count)]
        assert shapes == [(rows, columns), (count, 2), (count,), (columns + count,)]


def test_parameters_by_position_and_by_name():
    def drawn(*args, **kwargs):
        return np.asarray(RandomStream(9).normal(*args, **kwargs).eval())

    wanted = drawn(loc=2.0, scale=3.0, size=(4,))
    for args, kwargs in [((2.0, 3.0, (4,)), {}), ((2.0, 3.0), {"size": 4}), ((2.0,), {"scale": 3.0, "size": [4]})]:
        np.testing.assert_array_equal(drawn(*args, **kwargs), wanted)
    by_gen = RandomStream(9).gen("normal", 2.0, 3.0, size=4).eval()
    np.testing.assert_array_equal(by_gen, wanted)


def test_integers_with_one_bound_start_at_zero():
    found = np.asarray(RandomStream(1).integers(3, size=300).eval())
    assert set(found.tolist()) == {0, 1, 2}
    again = np.asarray(RandomStream(1).integers(low=0, high=3, size=300).eval())
    np.testing.assert_array_equal(found, again)


def test_keys_are_the_same_whatever_the_x64_flag():
    plain = np.asarray(RandomStream(2**32 - 1).uniform(size=2).eval())
    with jax.enable_x64(True):
        found = np.asarray(RandomStream(2**32 - 1).uniform(size=2, dtype="float32").eval())
    np.testing.assert_array_equal(plain, found)


@pytest.mark.parametrize("seed", [-1, 2**32, 1.5, True, "x"])
def test_a_seed_is_a_word_of_32_bits(seed):
    with pytest.raises(ValueError, match=r"a seed is an int from 0 to 2\*\*32 - 1.*\[test_stream\.py:\d+\](\n|$)"):
        RandomStream(seed)
    assert RandomStream(np.int64(3)).uniform().eval() == RandomStream(3).uniform().eval()


def test_an_unknown_distribution():
    with pytest.raises(AttributeError, match=r"RandomStream has no 'nomal'; its distributions are .*normal"):
        RandomStream(1).nomal  # noqa: B018


def test_draws_in_two_functions_share_their_stream():
    drawn = RandomStream(1).normal()
    f, g = loopjax.function([], drawn), loopjax.function([], drawn)
    found = [float(call()) for call in (f, g, f, g)]
    assert all(one != other for one, other in itertools.combinations(found, 2))


def test_one_class_by_its_three_names():
    assert at.random.RandomStream is RandomStream
    assert at.random.utils.RandomStream is RandomStream


def test_the_same_numbers_on_every_device_count():
    code = (
        "import jax, numpy as np, loopjax\n"
        "from loopjax.random import RandomStream\n"
        "s = RandomStream(5)\n"
        "f = loopjax.function([], [s.normal(size=3), s.integers(9, size=3)])\n"
        "print(jax.device_count(), *[np.asarray(one).tolist() for _ in range(2) for one in f()])"
    )
    lines = []
    for count in (1, 3):
        environment = {**os.environ, "XLA_FLAGS": f"--xla_force_host_platform_device_count={count}"}
        environment["JAX_PLATFORMS"] = "cpu"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
        lines.append(done.stdout)
    one, three = lines
    assert (one[0], three[0]) == ("1", "3")
    assert one[1:] == three[1:]


PARAMETERS = [
    (lambda stream: stream.binomial(3), TypeError, "binomial needs 'p'"),
    (lambda stream: stream.normal(spread=1), TypeError, r"normal takes \['loc', 'scale'\] and size, got \['spread'\]"),
    (lambda stream: stream.normal(0.0, 1.0, 2, 3), TypeError, r"normal takes \['loc', 'scale'\] and size, got"),
    (lambda stream: stream.normal(0.0, loc=1.0), TypeError, r"normal got \['loc'\] by position and by name"),
    (lambda stream: stream.normal(size=1.5), TypeError, "integer scalars, got float 1.5; write a size as an int"),
    (lambda stream: stream.binomial(2.5, 0.5), TypeError, "n takes integers, got"),
    (
        lambda stream: stream.normal(np.ones(2), size=3),
        ValueError,
        r"shape \(2,\) does not draw an array of size \(3,\)",
    ),
    (lambda stream: stream.gen("nomal"), ValueError, "there is no distribution 'nomal'; there are .*normal"),
]


@pytest.mark.parametrize(("draw", "error", "message"), PARAMETERS)
def test_parameters_that_do_not_fit_name_the_line(draw, error, message):
    with pytest.raises(error, match=rf"{message}.*\[test_stream\.py:\d+\](\n|$)"):
        draw(RandomStream(1))


def test_threads_that_record_with_one_stream_share_no_key():
    stream, draws = RandomStream(7), []
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [
            threading.Thread(target=lambda: draws.extend(stream.normal(size=3) for _ in range(10))) for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(before)
    found = {np.asarray(jax.random.key_data(key.get_value())).tobytes() for key, _ in stream.state_updates}
    assert len(found) == len(draws) == 80


def test_a_draw_that_leaked_out_of_a_loop_is_refused():
    stream, leaked = RandomStream(1), []

    def step():
        leaked.append(stream.normal())
        return leaked[0]

    loopjax.scan(step, n_steps=2)
    with pytest.raises(loopjax.errors.MissingInputError, match=r"drawn inside of fn of a scan.* return it from fn"):
        loopjax.function([], leaked[0] + 1)
