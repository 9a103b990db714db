"""Shared variables: a call commits all updates or none, and calls take turns."""

import gc
import signal
import sys
import threading

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import loopjax
import loopjax.tensor as at
from loopjax.ir.graph import apply
from loopjax.ir.op import OP_TABLE, register, table_op

if "host_check" not in OP_TABLE:

    def _host_check(x):
        def look(value):
            if value < 0:
                raise RuntimeError("a negative value on the host")
            if value > 1e6:
                signal.raise_signal(signal.SIGINT)
            return value

        return jax.pure_callback(look, jax.ShapeDtypeStruct(x.shape, x.dtype), x)

    register("host_check", _host_check, lambda type: type)


def host_check(x):
    """``x``, after a look at it on the host, which refuses negative values while the program runs."""
    return apply(table_op("host_check"), x)[0]


@pytest.fixture
def counters():
    return [loopjax.shared(float(i), name=f"c{i}", dtype="float64") for i in range(3)]


def values(variables):
    return [float(variable.get_value()) for variable in variables]


class TestAFailingCallChangesNothing:
    def test_a_wrong_shape_inside_the_loop(self, counters):
        x, w = at.dvector("x"), at.dmatrix("w")
        out, _ = loopjax.scan(lambda h: at.dot(w, h), outputs_info=x, n_steps=3)
        f = loopjax.function([x, w], out, updates={c: c + 1 for c in counters})
        with pytest.raises(ValueError, match="starts as"):
            f(np.ones(2), np.ones((3, 2)))
        assert values(counters) == [0, 1, 2]
        f(np.ones(2), np.ones((2, 2)))
        assert values(counters) == [1, 2, 3]

    def test_an_exception_while_it_runs(self, counters):
        x = at.dscalar("x")
        a = counters[0]
        _, updates = loopjax.scan(lambda: {a: host_check(a - x)}, n_steps=5)
        f = loopjax.function([x], updates={**updates, counters[1]: counters[1] + 1})
        f(0.0)
        before = values(counters)
        with pytest.raises(Exception, match="a negative value on the host"):
            f(1.0)
        assert values(counters) == before

    @pytest.mark.parametrize("given_as", ["argument", "state", "result"])
    def test_a_value_whose_computation_fails_after_the_call_has_begun(self, given_as):
        """The program cannot fail by itself: what it is given does, when a longer computation is done."""

        def look(value):
            if value > 0:
                raise RuntimeError("a positive value on the host")
            return value

        later = jax.jit(lambda v: jax.lax.fori_loop(0, 20, lambda i, v: jnp.sin(v) + 1, v)[0])
        looked = jax.jit(lambda v: jax.pure_callback(look, jax.ShapeDtypeStruct((), v.dtype), v))
        x, given, total = at.fscalar("x"), loopjax.shared(np.float32(0)), loopjax.shared(np.float32(0))
        is_state = given_as != "argument"
        f = {
            "argument": loopjax.function([x], updates={total: total + x}),
            "state": loopjax.function([], updates={total: total + given}),
            "result": loopjax.function([], given, updates={total: total * 2}),
        }[given_as]
        long, zero = jnp.ones(100_000, "float32"), looked(jnp.float32(0))
        later(long).block_until_ready()
        for of in (lambda: zero, lambda: zero, lambda: looked(later(long))):
            assert total.get_value() == 0
            try:
                value = of()
                if is_state:
                    given.set_value(value)
                f() if is_state else f(value)
                fails = False
            except Exception as error:
                fails = "a positive value on the host" in str(error)
        assert fails
        assert total.get_value() == 0

    @pytest.mark.parametrize("kind", ["itself", "loop", "function", "wrapped"])
    def test_a_callback_in_a_call_without_arguments(self, counters, kind):
        """Only a program that calls nothing on the host need not be waited for."""
        a, b, _ = counters
        looked = {
            "itself": host_check,
            "loop": lambda v: loopjax.scan(lambda h: host_check(h) * 1, outputs_info=v, n_steps=2)[0][-1],
            "function": loopjax.wrap_jax(jax.jit(jax.jit(OP_TABLE["host_check"].run))),
            "wrapped": loopjax.wrap_jax(lambda v: jax.lax.cond(v < 9, OP_TABLE["host_check"].run, jnp.sin, v)),
        }[kind]
        f = loopjax.function([], updates={a: a + 1, b: looked(3.0 - a)})
        for _ in range(4):
            f()
        for _ in range(2):
            with pytest.raises(Exception, match="a negative value on the host"):
                f()
            assert values(counters) == [4, 0, 2]

    def test_a_failure_in_the_second_stage(self, counters):
        x = at.dvector("x")
        n = (x > 0).sum()
        f = loopjax.function(
            [x], at.ones(n, dtype="float64") + at.zeros(2, dtype="float64"), updates={c: c + 1 for c in counters}
        )
        assert len(f.stages) == 2
        with pytest.raises(ValueError, match="add"):
            f(np.ones(3))
        assert values(counters) == [0, 1, 2]
        f(np.ones(2))
        assert values(counters) == [1, 2, 3]

    def test_keyboard_interrupt_while_waiting(self, counters, monkeypatch):
        f = loopjax.function([], updates={c: c + 1 for c in counters})
        f()
        original = type(counters[0].value).block_until_ready

        def interrupted(array):
            raise KeyboardInterrupt

        array_type = type(counters[0].value)
        monkeypatch.setattr(array_type, "block_until_ready", interrupted)
        with pytest.raises(KeyboardInterrupt):
            f()
        monkeypatch.setattr(array_type, "block_until_ready", original)
        assert values(counters) == [1, 2, 3]

    def test_interrupts_at_any_moment_leave_all_or_nothing(self, counters):
        """A timer raises KeyboardInterrupt at times spread over many calls; the counters never disagree."""
        f = loopjax.function([], updates={c: c + 1 for c in counters})
        f()

        def interrupt(number, frame):
            raise KeyboardInterrupt

        old = signal.signal(signal.SIGALRM, interrupt)
        interrupted = 0
        # An interrupt in a callback of the collector is lost, and reported as an error of its own.
        gc.disable()
        try:
            for attempt in range(200):
                try:
                    signal.setitimer(signal.ITIMER_REAL, 2e-5 + attempt * 2e-6)
                    for _ in range(50):
                        f()
                    signal.setitimer(signal.ITIMER_REAL, 0)
                except KeyboardInterrupt:
                    interrupted += 1
                a, b, c = values(counters)
                assert (b - a, c - b) == (1, 1)
                assert not jax.config.jax_enable_x64
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, old)
            gc.enable()
        assert interrupted > 0


def test_what_cannot_fail_is_not_waited_for(monkeypatch):
    a, b = loopjax.shared(np.float32(0)), loopjax.shared(np.float32(0))
    by, f = loopjax.function([], updates={b: a}), loopjax.function([], [b], updates={a: a + 1})
    for _ in range(3):
        f()
    waits, original = [], type(a.value).block_until_ready
    monkeypatch.setattr(type(a.value), "block_until_ready", lambda array: waits.append(array) or original(array))
    f()
    assert not waits
    a.set_value(jnp.float32(7))
    (found,) = f()
    assert len(waits) == 1
    f()
    assert len(waits) == 1
    by()
    f()
    assert (float(found), a.get_value(), b.get_value()) == (0, 10, 9)


def test_eight_threads_lose_no_update():
    count = loopjax.shared(0)
    f = loopjax.function([], count, updates={count: count + 1})
    threads = [threading.Thread(target=lambda: [f() for _ in range(1000)]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert int(count.get_value()) == 8000


def test_functions_that_share_variables_in_opposite_orders_do_not_wait_for_each_other():
    a, b = loopjax.shared(0), loopjax.shared(0)
    for variable in (a, b):
        loopjax.function([], variable)  # so that each has a lock of its own
    forth = loopjax.function([], updates=[(a, a + 1), (b, b + 1)])
    back = loopjax.function([], updates=[(b, b + 1), (a, a + 1)])
    assert forth.program.state.locks == back.program.state.locks
    assert len(forth.program.state.locks) == 2
    threads = [threading.Thread(target=lambda f=f: [f() for _ in range(300)]) for f in (forth, back) * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
        assert not thread.is_alive()
    assert (int(a.get_value()), int(b.get_value())) == (1200, 1200)


class TestLocksOfAFunction:
    """A function's variables have one lock, unless other functions had them before."""

    def test_functions_of_other_variables_do_not_wait(self):
        a, b, c = (loopjax.shared(0) for _ in range(3))
        both = loopjax.function([], updates={a: a + 1, b: b + 1})
        alone = loopjax.function([], updates={c: c + 1})
        (lock,), (other,) = both.program.state.locks, alone.program.state.locks
        assert a.lock is b.lock is lock
        thread = threading.Thread(target=alone)
        with lock:
            thread.start()
            thread.join(timeout=60)
        assert other is not lock
        assert int(c.get_value()) == 1

    def test_variables_of_several_functions(self):
        a, b, c, d = (loopjax.shared(0) for _ in range(4))
        loopjax.function([], updates={a: a + 1, b: b + 1})
        f = loopjax.function([], updates={b: b + 1, c: c + 1, d: d + 1})
        assert set(f.program.state.locks) == {a.lock, c.lock}
        assert c.lock is d.lock is not a.lock
        for _ in range(3):
            f()
        assert [int(one.get_value()) for one in (a, b, c, d)] == [0, 3, 3, 3]

    def test_who_waited_for_the_lock_of_before_takes_the_new_one(self):
        variable = loopjax.shared(0)
        old, new = variable.lock, threading.RLock()
        setting = threading.Thread(target=variable.set_value, args=(5,))
        old.acquire()
        setting.start()
        setting.join(timeout=0.1)  # it waits for the lock that the variable has now
        variable._join(new)
        with new:
            old.release()
            setting.join(timeout=0.1)
            is_waiting = setting.is_alive()
        setting.join(timeout=60)
        assert is_waiting
        assert int(variable.get_value()) == 5

    def test_defaults_of_inputs_are_read_before(self):
        """Else one call would hold the lock that another one waits for, and the other way round."""
        a, b, c = (loopjax.shared(np.ones(2)) for _ in range(3))
        loopjax.function([], a.sum() + c.sum())
        x, z = at.dvectors("x", "z")
        first = loopjax.function([z, loopjax.In(x, value=a)], z + x, updates={b: b + 1})
        second = loopjax.function([z, loopjax.In(x, value=b)], z + x, updates={c: c + 1})
        entered, left = threading.Event(), threading.Event()
        convert = second._signature.converted

        def slowly(values):
            entered.set()
            left.wait(timeout=60)
            return convert(values)

        second._signature.converted = slowly  # the lock of a and c is held
        threads = [threading.Thread(target=f, args=([1.0, 2.0],), daemon=True) for f in (second, first)]
        threads[0].start()
        assert entered.wait(timeout=60)
        threads[1].start()  # it waits for the lock of a, and must not hold that of b
        threads[1].join(timeout=0.2)
        is_free = b.lock.acquire(timeout=5)
        left.set()
        if is_free:
            b.lock.release()
        for thread in threads:
            thread.join(timeout=60)
            assert not thread.is_alive()
        assert is_free


class TestSharedVariables:
    def test_values_and_types(self):
        assert loopjax.shared(1).dtype == "int64"
        assert loopjax.shared(1.0).dtype == loopjax.config.floatX
        assert loopjax.shared(np.float32(1)).dtype == "float32"
        assert loopjax.shared(np.ones(2)).dtype == "float64"
        assert loopjax.shared(jnp.ones(2)).dtype == "float32"
        assert loopjax.shared(np.ones(2)).get_value().dtype == np.float64

    def test_set_value_checks_dtype_and_ndim(self):
        a = loopjax.shared(np.ones(2), name="a")
        a.set_value(np.zeros(5))
        assert a.get_value().shape == (5,)
        message = r"<shared a: float64\(\?,\)> was given float32\(2,\); .* Cast it .*'float64'\)"
        with pytest.raises(TypeError, match=message + r"( \[test_state.py:\d+\]){2}(\n|$)"):
            a.set_value(np.ones(2, "float32"))
        with pytest.raises(
            TypeError, match=r"expected dtype float64 and 1 dimensions, .* Give a value of 1 dimensions"
        ):
            a.set_value(np.ones((2, 2)))
        with pytest.raises(TypeError, match=r"^set_value: <shared a.*>: an array of dtype object is not numeric"):
            a.set_value(object())
        assert a.get_value().shape == (5,)

    def test_the_value_is_a_copy_unless_borrowed(self):
        source = np.ones(2)
        a = loopjax.shared(source)
        source[0] = 5
        a.get_value()[0] = 7
        np.testing.assert_array_equal(a.get_value(), [1, 1])
        assert isinstance(a.get_value(borrow=True), jax.Array)

    def test_numbers_lists_and_arrays(self):
        wanted = [
            (1, "int64"),
            (True, "bool"),
            (1.0, loopjax.config.floatX),
            (1j, "complex64"),
            ([1, 2], "int64"),
            ([1.0, 2.0], loopjax.config.floatX),
            (np.int8(1), "int8"),
            (np.ones(2, "float16"), "float16"),
            (jnp.ones((), jnp.bfloat16), "bfloat16"),
        ]
        assert [loopjax.shared(value).dtype for value, _ in wanted] == [dtype for _, dtype in wanted]
        assert loopjax.shared(1, dtype="float64").dtype == "float64"
        for value in (object(), "text", [[1.0], [2.0, 3.0]]):
            with pytest.raises((TypeError, ValueError)):
                loopjax.shared(value)
        with pytest.raises(TypeError, match=r"shared\(\) got unknown arguments \['nmae'\]"):
            loopjax.shared(1, nmae="a")

    def test_a_sharding_stays(self):
        mesh = jax.sharding.Mesh(np.array(jax.devices()[:1]), ("rows",))
        sharding = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("rows"))
        array = jax.device_put(jnp.ones(4), sharding)
        a = loopjax.shared(array)
        assert a.get_value(borrow=True) is array
        loopjax.function([], updates={a: a + 1})()
        assert a.get_value(borrow=True).sharding == sharding
        np.testing.assert_array_equal(a.get_value(), np.full(4, 2))

    def test_default_update(self):
        a = loopjax.shared(1, name="a")
        assert a.default_update is None
        a.default_update = at.dvector("x")
        with pytest.raises(TypeError, match=r"the update of <shared a: .* is float64\(\?,\); expected int64\(\)"):
            loopjax.function([], a)
        a.default_update = a * 3
        f = loopjax.function([], a)
        assert [int(f()) for _ in range(3)] == [1, 3, 9]

    def test_tracers_and_symbols_are_refused(self):
        with pytest.raises(TypeError, match="tracer"):
            jax.jit(lambda v: loopjax.shared(v).value)(1.0)
        with pytest.raises(TypeError, match="symbolic"):
            loopjax.shared(at.dscalar("x"))

    def test_a_lost_value_says_so_until_it_is_set(self):
        a = loopjax.shared(np.ones(2))
        a.value.delete()
        f = loopjax.function([], updates={a: a + 1}, accept_inplace=True)
        with pytest.raises(RuntimeError):
            f()
        with pytest.raises(loopjax.errors.StateLost, match="set_value"):
            a.get_value()
        a.set_value(np.zeros(2))
        f()
        np.testing.assert_array_equal(a.get_value(), [1, 1])


class TestValuesAreTaken:
    def test_later_writes_to_a_callers_array_change_nothing(self):
        a, x = loopjax.shared(np.zeros(1)), at.dvector("x")
        f = loopjax.function([x], x)
        for _ in range(5):
            value = np.ones(3_000_000)
            a.set_value(value)
            result = f(value)
            value[:] = 7
            assert a.get_value().max() == 1.0
            assert np.asarray(result).max() == 1.0

    def test_constants_of_views(self):
        source = np.zeros(1)
        y = at.dvector("x") + np.broadcast_to(source, (3,))
        source[0] = 5
        (x,) = [v for v in y.owner.inputs if v.name == "x"]
        np.testing.assert_array_equal(y.eval({x: np.zeros(3)}), np.zeros(3))

    def test_foreign_byte_order_sizes_and_integers(self):
        assert loopjax.shared(np.ones(3, ">f8")).dtype == "float64"
        small = loopjax.shared(np.int32(3))
        small.set_value(4)
        assert int(small.get_value()) == 4
        with pytest.raises(TypeError, match="expected dtype int32"):
            small.set_value(2**40)
        with pytest.raises(TypeError, match="was given"):
            loopjax.shared(np.zeros(3), shape=(3,)).set_value(np.zeros(5))
        with pytest.raises(ValueError, match="shape"):
            loopjax.shared(np.zeros(3), shape=(4,))


def test_default_updates_of_some_can_stand_still():
    a, b = loopjax.shared(0), loopjax.shared(0)
    a.default_update, b.default_update = a + 1, b + 1
    loopjax.function([], a + b, no_default_updates=[a])()
    assert (int(a.get_value()), int(b.get_value())) == (0, 1)


class TestAcceptInplaceOverwritesNothingOfOthers:
    def test_results_and_arrays_that_somebody_holds(self):
        source = jnp.ones(1000)
        a, b = loopjax.shared(source), loopjax.shared(source)
        look = loopjax.function([], a)
        f = loopjax.function([], updates={a: a + 1}, accept_inplace=True)
        held = [look(), a.get_value(borrow=True)]
        f()
        held.append(look())
        f()
        f()
        assert [float(value[0]) for value in (*held, source, b.get_value())] == [1, 1, 2, 1, 1]
        assert float(a.get_value()[0]) == 4

    def test_a_result_that_is_another_variable_beside_one_update(self):
        a, count = loopjax.shared(np.ones(1000, "float32")), loopjax.shared(0)
        double = loopjax.function([], updates={a: a * 2}, accept_inplace=True)
        look = loopjax.function([], a, updates={count: count + 1})
        held = []
        for _ in range(4):
            double()
            held.append(look())
        double()
        assert [float(np.asarray(value)[0]) for value in held] == [2, 4, 8, 16]

    def test_a_value_that_is_an_output_or_two_updates(self):
        a, b = loopjax.shared(np.zeros(1000)), loopjax.shared(np.zeros(1000))
        n = a + 1
        f = loopjax.function([], n, updates={a: n, b: n}, accept_inplace=True)
        results = [f() for _ in range(4)]
        assert [float(np.asarray(value)[0]) for value in results] == [1, 2, 3, 4]
        assert float(b.get_value()[0]) == 4

    @pytest.mark.parametrize("inplace", [False, True])
    def test_arguments_may_be_written_to_at_once(self, inplace):
        a, x = loopjax.shared(np.zeros(3_000_000)), at.dvector("x")
        f = loopjax.function([x], updates={a: x * 2}, accept_inplace=inplace)
        for _ in range(4):
            value = np.ones(3_000_000)
            f(value)
            value[:] = 7
            assert a.get_value().max() == 2.0

    @pytest.mark.parametrize("given", [[], [[1.0, 2.0]]])
    def test_an_interrupt_at_any_line_leaves_no_array_to_two_owners(self, given):
        """Of two variables with one array, a later call in place would delete it. Lists take the general path."""
        a, b = loopjax.shared(np.arange(2.0)), loopjax.shared(np.zeros(2))
        x = at.dvector("x")
        double = loopjax.function([], updates={a: a * 2}, accept_inplace=True)
        moved = loopjax.function([x] if given else [], updates={b: a}, on_unused_input="ignore")
        for _ in range(3):
            double()
            moved(*given)
        lines = 0

        def count_down(frame, event, _):
            nonlocal lines
            if "loopjax" not in frame.f_code.co_filename:
                return None
            lines -= event == "line"
            if lines < 0:
                sys.settrace(None)
                raise KeyboardInterrupt
            return count_down

        interrupted = 0
        for number in range(400):
            double()
            double()
            before, lines, trace = a.get_value(), number, sys.gettrace()
            sys.settrace(count_down)
            try:
                moved(*given)
                break
            except KeyboardInterrupt:
                interrupted += 1
            finally:
                sys.settrace(trace)
            double()
            assert b.get_value().shape == (2,)
            np.testing.assert_array_equal(a.get_value(), 2 * before)
        assert 10 < interrupted < 399

    def test_memory_is_reused_where_nobody_else_holds_it(self):
        a = loopjax.shared(np.zeros(1000))
        f = loopjax.function([], updates={a: a + 1}, accept_inplace=True)
        f()
        old = a.value
        f()
        assert old.is_deleted()


def test_an_interrupt_at_any_moment_leaves_no_lock_held(counters):
    """Lists are converted at each call, which takes the general path; arrays take the fast one."""
    x = at.dvector("x")
    f = loopjax.function([x], x.sum(), updates={c: c + 1 for c in counters})
    f([1.0])
    held = []

    def interrupt(number, frame):
        raise KeyboardInterrupt

    def free():
        held.extend(c for c in counters if not c.lock.acquire(timeout=5))
        for c in counters if not held else ():
            c.lock.release()

    old = signal.signal(signal.SIGALRM, interrupt)
    interrupted = 0
    gc.disable()  # an interrupt in a callback of the collector is lost
    try:
        for attempt in range(150):
            given = [1.0] if attempt % 2 else np.ones(1)
            try:
                signal.setitimer(signal.ITIMER_REAL, 2e-5 + attempt * 3e-6)
                for _ in range(50):
                    f(given)
                signal.setitimer(signal.ITIMER_REAL, 0)
            except KeyboardInterrupt:
                interrupted += 1
            thread = threading.Thread(target=free)
            thread.start()
            thread.join()
            assert not held
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, old)
        gc.enable()
    assert interrupted > 0


def test_get_value_holds_the_lock_until_it_has_copied(monkeypatch):
    """A call with ``accept_inplace`` deletes the array as soon as it gets the lock."""
    a = loopjax.shared(np.zeros(10))
    f = loopjax.function([], updates={a: a + 1}, accept_inplace=True)
    f()
    copy, threads = np.array, []

    def slow_copy(value):
        threads.append(threading.Thread(target=f))
        threads[0].start()
        threads[0].join(timeout=0.2)
        return copy(value)

    monkeypatch.setattr("loopjax.trace.shared.np.array", slow_copy)
    assert a.get_value()[0] == 1
    monkeypatch.undo()
    threads[0].join()
    assert a.get_value()[0] == 2


def test_an_input_may_be_called_self():
    x = at.dscalar("self")
    f = loopjax.function([x], x * 2)
    assert [float(f(self=value)) for value in (1.0, 2.0, 3.0)] == [2, 4, 6]


def test_a_check_that_fails_after_an_in_place_call_keeps_state():
    x, total = at.dvector("x"), loopjax.shared(np.zeros(2))
    h, _ = loopjax.scan(lambda u, h: (h + u, loopjax.until(h > 1)), x, np.float64(0.0))
    f = loopjax.function([x], h[2], updates={total: total + 1}, accept_inplace=True)
    for _ in range(2):
        assert f([0.3] * 5) == pytest.approx(0.9)
        with pytest.raises(IndexError):
            f([2.0] * 5)
    np.testing.assert_array_equal(total.get_value(), [2, 2])
