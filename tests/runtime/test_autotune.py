"""``mode="tune"``: alternatives are measured, the default stays unless they gain, and findings last."""

import itertools
import json
import math
import os
import pathlib
import re
import subprocess
import sys
import time

import jax
import numpy as np
import pytest

import loopjax
import loopjax.tensor as at
from loopjax.config import config
from loopjax.ir.digest import NoDigestError, digest
from loopjax.runtime import autotune, interleaved_timer, tuning_cache
from loopjax.shapes.specialize import specialize


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """A folder of its own for each test."""
    monkeypatch.setattr(config, "cache", str(tmp_path / "cache"))
    return tmp_path / "cache"


def clock(monkeypatch, seconds):
    """Programs take the time that ``seconds`` says, from their choices; what was asked for is noted."""
    asked = []

    def sample(self, candidate):
        asked.append(candidate.choices)
        return lambda: seconds(candidate.choices)

    monkeypatch.setattr(autotune._Search, "_sample", sample)
    return asked


def doubling(mode="tune", name="x", label="doubling", n_steps=48, by=2.0):
    x = at.dvector(name)
    out, _ = loopjax.scan(lambda h: h * by, outputs_info=x, n_steps=n_steps, name=label)
    return loopjax.function([x], out[-1], mode=mode)


def by_size():
    """Steps an iteration that sizes say."""
    f = doubling(mode=None)
    f([1.0])
    return loopjax.explain(f).loops[0].plan.unroll


def tuning(f):
    (stage,) = loopjax.explain(f).tuning
    return stage


class TestChoosing:
    def test_the_fastest_is_chosen_and_computes_the_same(self, monkeypatch):
        clock(monkeypatch, lambda choices: {2: 0.5, 4: 0.4, 8: 0.6}.get(choices.get("unroll 1"), 1.0))
        f = doubling()
        np.testing.assert_array_equal(f([1.0, 3.0]), [2.0**48, 3 * 2.0**48])
        (loop,) = loopjax.explain(f).loops
        assert loop.plan.unroll == 4
        assert loop.plan.reason.endswith("4 at a time as measured")
        first, *tried = tuning(f)
        assert first == "measured now: 0.40 of the time of what sizes say"
        wanted = [
            "  without unroll: 1.00 of the time",
            f"  unroll 1 of scan 'doubling': 2 instead of {by_size()}: 0.50 of the time, better",
            "  unroll 1 of scan 'doubling': 4 instead of 2: 0.80 of the time, better",
        ]
        assert [line for line in tried if line in wanted] == wanted

    def test_gains_of_several_choices_are_united(self, monkeypatch):
        def seconds(choices):
            return (0.5 if "vmap" in choices else 1.0) * (0.5 if choices.get("unroll 1") == 2 else 1.0)

        clock(monkeypatch, seconds)
        x = at.dvector("x")
        squares, _ = loopjax.map(lambda a: a**2, x)
        sums, _ = loopjax.scan(lambda a, h: h + a, sequences=x, outputs_info=np.float64(0))
        f = loopjax.function([x], [sums, squares], mode="tune")
        f(np.ones(16))
        first, second = (loop.plan for loop in loopjax.explain(f).loops)
        assert (first.kind, first.unroll, second.kind) == ("scan", 2, "scan")
        assert tuning(f)[0] == "measured now: 0.25 of the time of what sizes say"

    def test_a_gain_within_the_noise_is_none(self, monkeypatch):
        noise = itertools.cycle([0.8, 1.3, 0.9, 1.0, 1.1, 0.7, 1.2])
        clock(monkeypatch, lambda choices: next(noise) * (0.99 if choices else 1.0))
        f = doubling()
        f([1.0])
        assert loopjax.explain(f).loops[0].plan.unroll == by_size()
        assert tuning(f)[0] == "measured now: what sizes say stays"

    def test_a_gain_that_does_not_come_again_is_none(self, monkeypatch):
        lucky = iter([0.5] * 8)  # while it compiles, and as often as decides
        clock(monkeypatch, lambda choices: next(lucky, 1.0) if choices.get("unroll 1") == 2 else 1.0)
        f = doubling()
        f([1.0])
        assert loopjax.explain(f).loops[0].plan.unroll == by_size()
        assert tuning(f)[0].endswith("stays; what seemed better was not when it was compared again")
        assert f"  unroll 1 of scan 'doubling': 2 instead of {by_size()}: 0.50 of the time, better" in tuning(f)

    def test_what_fails_is_left(self, monkeypatch):
        def seconds(choices):
            if choices.get("unroll 1") == 4:
                raise MemoryError("too much")
            return 1.0

        clock(monkeypatch, seconds)
        f = doubling()
        assert float(f([1.0])[0]) == 2.0**48
        assert f"  unroll 1 of scan 'doubling': 4 instead of {by_size()}: failed" in tuning(f)

    def test_what_there_is_no_time_for_is_not_tried(self, monkeypatch):
        monkeypatch.setattr(autotune, "SECONDS", 0.0)
        f = doubling()
        assert float(f([1.0])[0]) == 2.0**48
        assert re.fullmatch(r"there was no time for \d+ more", tuning(f)[-1])
        assert len(tuning(f)) == 2

    def test_what_is_the_same_program_is_not_measured(self, monkeypatch):
        asked = clock(monkeypatch, lambda choices: 1.0)
        x = at.dvector("x")
        f = loopjax.function([x], x + 1, mode="tune")
        f(np.ones(3))
        assert asked == [{}]

    def test_each_set_of_shapes_is_measured(self, monkeypatch):
        clock(monkeypatch, lambda choices: 0.5 if choices.get("unroll 1") == 2 else 1.0)
        x = at.dvector("x")
        sums, _ = loopjax.scan(lambda a, h: h + a, sequences=x, outputs_info=np.float64(0))
        f = loopjax.function([x], sums, mode="tune", lengths="exact")
        for count in (16, 32):
            f(np.ones(count))
            assert tuning(f)[0].startswith("measured now")


class TestMeasuring:
    def test_programs_really_run(self, monkeypatch):
        """On this machine's clock, whatever comes of it."""
        monkeypatch.setattr(interleaved_timer, "MOST", 3)
        x = at.dvector("x")
        sums, _ = loopjax.scan(lambda a, h: at.tanh(h + a), sequences=x, outputs_info=np.float64(0))
        cost = (sums**2).sum()
        outputs = [cost, loopjax.grad(cost, x)]
        data = np.linspace(-1, 1, 64)
        for found, wanted in zip(
            loopjax.function([x], outputs, mode="tune")(data), loopjax.function([x], outputs)(data), strict=True
        ):
            np.testing.assert_allclose(found, wanted, rtol=1e-12)

    @pytest.mark.parametrize("inplace", [False, True])
    def test_state_changes_once(self, inplace, monkeypatch):
        monkeypatch.setattr(interleaved_timer, "MOST", 3)

        def program(mode):
            total = loopjax.shared(np.zeros(3), name="total")
            stream = at.random.RandomStream(3)
            x = at.dmatrix("x")
            sums, _ = loopjax.scan(lambda a, h: h + a, sequences=x, outputs_info=total)
            f = loopjax.function(
                [x],
                sums[-1] + stream.normal(size=3),
                updates={total: sums[-1]},
                mode=mode,
                accept_inplace=inplace,
            )
            return f, total

        (tuned, state), (plain, other) = program("tune"), program(None)
        for _ in range(2):
            np.testing.assert_array_equal(tuned(np.ones((8, 3))), plain(np.ones((8, 3))))
            np.testing.assert_array_equal(state.get_value(), other.get_value())
        assert tuning(tuned)[0].startswith("measured now")

    def test_what_prints_is_not_tuned(self, capfd):
        x = at.dvector("x")

        def shown(a):
            jax.debug.print("seen")
            return a

        f = loopjax.function([x], loopjax.wrap_jax(shown)(x) + 1, mode="tune")
        f(np.ones(2))
        jax.effects_barrier()
        assert capfd.readouterr().out == "seen\n"
        assert tuning(f) == ("not tuned: it prints, shows progress or calls Python, which measuring would repeat",)

    def test_what_shows_progress_is_not_tuned(self, capfd):
        x = at.dvector("x")
        out, _ = loopjax.scan(lambda h: h + 1, outputs_info=x, n_steps=200, progress="adding")
        f = loopjax.function([x], out[-1], mode="tune")
        f(np.ones(2))
        jax.effects_barrier()
        assert tuning(f)[0].startswith("not tuned")

    def test_errors_are_the_users_own(self):
        x, i = at.dvector("x"), at.lscalar("i")
        f = loopjax.function([x, i], x[i], check="index", mode="tune")
        assert float(f([1.0, 2.0], 1)) == 2.0
        with pytest.raises(IndexError, match="out of bounds"):
            loopjax.function([x, i], x[i] + 1, check="index", mode="tune")([1.0, 2.0], 5)

    def test_inside_jax_nothing_is_measured(self, monkeypatch):
        asked = clock(monkeypatch, lambda choices: 1.0)
        x = at.dvector("x")
        sums, _ = loopjax.scan(lambda a, h: h + a, sequences=x, outputs_info=np.float64(0))
        wanted = np.arange(1.0, 5.0)
        with jax.enable_x64(True):
            np.testing.assert_array_equal(jax.jit(loopjax.function([x], sums, mode="tune"))(np.ones(4)), wanted)
            np.testing.assert_array_equal(jax.jit(loopjax.to_jax([x], sums, mode="tune"))(np.ones(4)), wanted)
        assert not asked


class TestComparing:
    def test_bounds_hold_for_any_distribution(self):
        """That of the median is within them in all but 2 of 100 cases."""
        rng = np.random.default_rng(0)
        for count in (7, 8, 20, 41):
            outside = 0
            for _ in range(2000):
                found = interleaved_timer.median(rng.exponential(size=count).tolist())
                assert found.low <= found.median <= found.high
                outside += not found.low <= math.log(2) <= found.high
            assert outside / 2000 < 0.025

    def test_few_values_have_no_bounds(self):
        assert interleaved_timer.median([1.0, 2.0, 3.0]) == (2.0, 0.0, math.inf)
        assert interleaved_timer.median([1.0, 2.0, 3.0, 4.0]).median == 2.5

    def test_it_ends_when_it_is_decided(self):
        def count(ratio):
            calls = itertools.count()
            found = interleaved_timer.compare(lambda: 1.0, lambda: (next(calls), ratio)[1], 0.98, math.inf)
            return found.median, next(calls)

        assert count(0.9) == (0.9, 7)
        assert count(1.1) == (1.1, 7)
        assert count(0.98) == (0.98, interleaved_timer.MOST)
        assert count(2.0) == (2.0, 2)

    def test_it_ends_when_time_is_up(self):
        assert interleaved_timer.compare(lambda: 1.0, lambda: 0.5, 0.98, time.perf_counter()) == (1.0, 0.0, math.inf)


SCRIPT = """
import sys
import loopjax, loopjax.tensor as at
from loopjax.runtime import autotune
if sys.argv[1] == "never":
    def sample(self, candidate): raise AssertionError("measured")
else:
    def sample(self, candidate): return lambda: 0.5 if candidate.choices.get("unroll 1") == 2 else 1.0
autotune._Search._sample = sample
x = at.dvector(sys.argv[2])
out, _ = loopjax.scan(lambda h: h * 2, outputs_info=x, n_steps=48, name=sys.argv[2])
f = loopjax.function([x], out[-1], mode="tune")
f([1.0])
print(loopjax.explain(f).loops[0].plan.unroll, *loopjax.explain(f).tuning[0], sep="\\n")
"""


class TestRemembering:
    def test_a_second_process_measures_nothing(self, cache):
        """Nor do other names make another program."""

        def output(*arguments):
            environment = {**os.environ, "LOOPJAX_CACHE": str(cache), "PYTHONHASHSEED": arguments[1]}
            done = subprocess.run(
                [sys.executable, "-c", SCRIPT, arguments[0], f"name{arguments[1]}"],
                capture_output=True,
                text=True,
                env=environment,
                check=False,
            )
            assert done.returncode == 0, done.stderr
            return done.stdout.splitlines()

        first, second = output("measure", "1"), output("never", "2")
        assert first[0] == second[0] == "2"
        assert first[1] == "measured now: 0.50 of the time of what sizes say"
        assert second[1] == "measured before: 0.50 of the time of what sizes say"
        assert second[2:] == [line.replace("name1", "name2") for line in first[2:]]
        assert len(list(cache.iterdir())) == 1

    def test_what_cannot_be_read_is_measured_again(self, cache, monkeypatch):
        clock(monkeypatch, lambda choices: 0.5 if choices.get("unroll 1") == 2 else 1.0)
        doubling()([1.0])
        (file,) = cache.iterdir()
        good = file.read_bytes()
        for content in (
            b"\xff\x00",
            b"[" * 100_000,
            b"3",
            b'{"choices": {"unroll 1": "many"}, "ratio": 1, "tried": [], "untried": 0}',
            b'{"choices": {}, "ratio": 1, "tried": [["unroll 1", 2, 8, "fast", true]], "untried": 0}',
        ):
            file.write_bytes(content)
            f = doubling()
            f([1.0])
            assert tuning(f)[0].startswith("measured now")
            assert file.read_bytes() == good

    def test_choices_that_there_are_not_change_nothing(self, cache, monkeypatch):
        clock(monkeypatch, lambda choices: 1.0)
        doubling()([1.0])
        (file,) = cache.iterdir()
        written = json.loads(file.read_text())
        file.write_text(json.dumps({**written, "choices": {"unroll 1": 10**9, "unroll 7": 2, "magic": 1}}))
        f = doubling()
        assert float(f([1.0])[0]) == 2.0**48
        assert loopjax.explain(f).loops[0].plan.unroll == by_size()

    def test_a_folder_that_cannot_be_written_to(self, tmp_path, monkeypatch):
        clock(monkeypatch, lambda choices: 0.5 if choices.get("unroll 1") == 2 else 1.0)
        (tmp_path / "file").write_text("")
        monkeypatch.setattr(config, "cache", str(tmp_path / "file" / "cache"))
        f = doubling()
        f([1.0])
        assert tuning(f)[0] == "measured now, for this process alone: 0.50 of the time of what sizes say"
        assert loopjax.explain(f).loops[0].plan.unroll == 2

    def test_what_only_this_process_knows_is_not_remembered(self, cache, monkeypatch):
        clock(monkeypatch, lambda choices: 1.0)
        x = at.dvector("x")
        f = loopjax.function([x], loopjax.wrap_jax(lambda a: a + 1)(x), mode="tune")
        f(np.ones(2))
        assert tuning(f)[0].startswith("measured now, for this process alone")
        assert not cache.exists()

    def test_the_folder(self, monkeypatch):
        monkeypatch.setattr(config, "cache", None)
        monkeypatch.setattr(sys, "platform", "linux")
        monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
        assert tuning_cache._folder() == pathlib.Path("/somewhere/loopjax")
        monkeypatch.delenv("XDG_CACHE_HOME")
        monkeypatch.setenv("HOME", "/home/me")
        assert tuning_cache._folder() == pathlib.Path("/home/me/.cache/loopjax")
        monkeypatch.setattr(sys, "platform", "darwin")
        assert tuning_cache._folder() == pathlib.Path("/home/me/Library/Caches/loopjax")
        monkeypatch.setattr(sys, "platform", "win32")
        monkeypatch.setenv("LOCALAPPDATA", "/local")
        assert tuning_cache._folder() == pathlib.Path("/local/loopjax/Cache")


class TestDigest:
    def sized(self, f, *arrays):
        graph = f.stages[0].stage.graph
        types = [v.type.with_shape(a.shape) for v, a in zip(graph.inputs, arrays, strict=True)]
        return specialize(graph, types, {})

    def test_names_do_not_count_and_all_else_does(self):
        x = np.ones(3)
        one = digest(self.sized(doubling(), x))
        assert one == digest(self.sized(doubling(name="y", label="other"), x))
        others = [
            digest(self.sized(doubling(), np.ones(4))),
            digest(self.sized(doubling(n_steps=47), x)),
            digest(self.sized(doubling(by=2.5), x)),
            digest(self.sized(doubling(), x), loopjax.__version__),
        ]
        assert len({one, *others}) == 5

    def test_versions_and_devices_count(self, monkeypatch):
        places = [tuning_cache.place("program")]
        monkeypatch.setattr(tuning_cache, "VERSION", "another")
        places.append(tuning_cache.place("program"))
        monkeypatch.setattr(jax, "__version__", "another too")
        places.append(tuning_cache.place("program"))
        places.append(tuning_cache.place("program", ["another device"]))
        assert len(set(places)) == 4

    def test_values_that_python_calls_equal_differ(self):
        values = [1, 1.0, True, "1", b"1", (1,), [1], 0.0, -0.0, None, frozenset([1]), ((), ()), ((),)]
        assert len({digest(value) for value in values}) == len(values)
        assert digest("ab", "c") != digest("a", "bc")
        assert digest(frozenset("abc")) == digest(frozenset("cba"))

    def test_a_function_has_none(self):
        with pytest.raises(NoDigestError, match="of type function"):
            digest(lambda: 3)


def test_a_result_that_cannot_be_written_leaves_nothing_behind(tmp_path):
    (tmp_path / "taken.json").mkdir()
    assert not tuning_cache.write(tmp_path / "taken.json", {})
    assert tuning_cache.write(tmp_path / "good.json", {"a": 1})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["good.json", "taken.json"]
    assert (tmp_path / "good.json").stat().st_mode & 0o444 == 0o444
    assert tuning_cache.read(tmp_path / "good.json") == {"a": 1}
