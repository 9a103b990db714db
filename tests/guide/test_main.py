"""``python -m loopjax``."""

import subprocess
import sys
from dataclasses import replace

import pytest

from examples import guide as command
from examples.guide import PROGRAMS, Value


def programs_called(*names):
    return tuple(program for program in PROGRAMS if program.name in names)


def test_list_from_a_shell():
    done = subprocess.run([sys.executable, "-m", "loopjax", "--list"], capture_output=True, text=True, check=True)
    lines = done.stdout.splitlines()
    assert [line.split()[0] for line in lines] == [program.name for program in PROGRAMS]
    assert lines[0].endswith(PROGRAMS[0].title)
    assert done.stderr == ""


def test_one_program_by_name(capsys):
    assert command.main(["until"]) == 0
    shown = capsys.readouterr().out
    assert "computed [2 4 8 16 32 64]   expected [2 4 8 16 32 64]" in shown
    assert "scan 'double'" in shown
    assert "-> while: it stops when until says so" in shown
    assert "first result after" in shown
    assert "later one after" in shown
    assert shown.endswith("1 of 1 programs as expected\n")
    assert "counter" not in shown


def test_several_programs_in_the_order_given(capsys):
    assert command.main(["until", "counter", "until"]) == 0
    shown = capsys.readouterr().out
    assert shown.index("until:") < shown.index("counter:")
    assert shown.endswith("2 of 2 programs as expected\n")


def test_all_programs_where_none_is_named(capsys, monkeypatch):
    monkeypatch.setattr(command, "PROGRAMS", programs_called("power", "polynomial"))
    assert command.main([]) == 0
    shown = capsys.readouterr().out
    assert "power:" in shown
    assert "polynomial:" in shown


def test_a_value_that_is_off(capsys, monkeypatch):
    polynomial, counter = programs_called("polynomial", "counter")
    result = polynomial.run()
    wrong = replace(result, values=(*result.values, Value("wrong", 18, 19)))
    monkeypatch.setattr(command, "PROGRAMS", (replace(polynomial, run=lambda: wrong), counter))
    assert command.main([]) == 1
    shown = capsys.readouterr().out
    assert "  wrong: computed 18   expected 19   <-- NOT AS EXPECTED\n" in shown
    assert shown.count("NOT AS EXPECTED") == 1
    assert shown.endswith("1 of 2 programs as expected; off: polynomial\n")


def test_unknown_name(capsys):
    with pytest.raises(SystemExit) as exit_:
        command.main(["powr", "until"])
    assert exit_.value.code == 2
    message = capsys.readouterr().err
    assert "no program is called powr; there are power, polynomial, triangular" in message
