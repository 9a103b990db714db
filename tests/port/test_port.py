"""Programs in the habits of Theano's time run after ``--write`` and print what they should."""

import contextlib
import io
import os
import pathlib
import runpy

import pytest

import loopjax.compat.theano as theano
from loopjax.port import port
from loopjax.port.__main__ import main, read
from tests.port.outputs import OUTPUTS

FILES = sorted((pathlib.Path(__file__).parent / "files").glob("*.py"))


@pytest.fixture(autouse=True)
def _flags(monkeypatch):
    """Programs set flags of the library and of the process."""
    monkeypatch.setattr(os, "environ", dict(os.environ))
    with theano.config.change_flags():
        yield


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
@pytest.mark.filterwarnings("ignore::loopjax.compat.notes.CompatNote")
def test_a_program_runs_after_write(path, tmp_path):
    text, encoding = read(path)
    report = port(text, path.name)
    assert not report.needs_hands, report
    ported = tmp_path / path.name
    ported.write_text(report.ported, encoding=encoding)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(io.StringIO()):
        runpy.run_path(str(ported), run_name="__main__")
    assert printed.getvalue() == OUTPUTS[path.stem]


def test_there_are_twenty_programs_and_an_output_for_each():
    assert [path.stem for path in FILES] == sorted(OUTPUTS)
    assert len(FILES) == 20


def test_comments_and_formatting_stay():
    text = "# a\nimport theano.tensor as T   # b\nx = T.vector( 'x' )\nprint  x.ndim , 1/2  # c\n"
    ported = port(text).ported
    assert ported == (
        "# a\nimport loopjax.compat.theano.tensor as T   # b\nx = T.vector( 'x' )\nprint(x.ndim , 1//2)  # c\n"
    )


def test_a_ported_program_stays_as_it_is():
    for path in FILES[::4]:
        ported = port(read(path)[0]).ported
        assert port(ported).ported == ported


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("import theano", "import loopjax.compat.theano as theano"),
        ("import theano, numpy", "import loopjax.compat.theano as theano, numpy"),
        ("import theano.tensor", "import loopjax.compat.theano as theano"),
        ("import aesara.tensor as at", "import loopjax.compat.aesara.tensor as at"),
        ("from pytensor import tensor as pt", "from loopjax.compat.pytensor import tensor as pt"),
        (
            "from theano.tensor import (\n    dot,  # a\n)",
            "from loopjax.compat.theano.tensor import (\n    dot,  # a\n)",
        ),
        ("import theanos", "import theanos"),
        ("from . import theano", "from . import theano"),
    ],
)
def test_imports(before, after):
    assert port(before + "\n").ported == after + "\n"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("7 / 2", "7 // 2"),
        ("7 / 2.", "7 / 2."),
        ("len(x) / 2", "len(x) // 2"),
        ("x.shape[0] / batch", "x.shape[0] // batch"),
        ("x.shape[0] / rate", "x.shape[0] / rate"),
        ("x[:n / 2]", "x[:n // 2]"),
        ("x[:n / 2.]", "x[:int(n / 2.)]"),
        ("numpy.zeros((n / 2, 3))", "numpy.zeros((n // 2, 3))"),
        ("rng.normal(size=(n / 2, 3))", "rng.normal(size=(n // 2, 3))"),
        ("x / n", "x / n"),
        ("counter / 2", "counter // 2"),
        ("mixed / 2", "mixed / 2"),
        ("(rows * 2 + 1) / cols", "(rows * 2 + 1) // cols"),
        ("T.ivector() / 2", "T.ivector() // 2"),
    ],
)
def test_division_of_python_2(before, after):
    lines = [
        "import numpy, theano.tensor as T",
        "def f(x, n, rng, batch=20, rate=0.5):",
        "    rows, cols = x.shape",
        "    mixed = 1",
        "    mixed = 2.5",
        "    for counter in xrange(3):",
        f"        y = {before}",
    ]
    assert port("\n".join(lines) + "\n").ported.splitlines()[-1] == "        y = " + after


def test_division_of_python_3_stays():
    assert "7 / 2" in port("import theano\nprint(7 / 2)\n").ported
    assert "7 / 2" in port("from __future__ import division\nimport theano\nprint 7 / 2\n").ported


def test_a_quotient_that_may_be_of_integers_is_noted():
    report = port("def f(a, n):\n    print a / len(n)\n")
    assert "a / len(n)" in report.ported
    assert [one.subject for one in report.of("note")] == ["a / len(n)"]


def test_names_are_looked_up():
    text = (
        "import theano\nimport theano.tensor as T\nfrom theano.gof import Optimizer\n"
        "T.exp; theano.config.floatX; theano.config.no_such_flag\nT.sigmoids\nT.dvector('x').sum()\n"
        "class Mine(Optimizer): pass\nT.max_pool_2d\n"
    )
    report = port(text)
    assert {"theano.tensor.exp", "theano.config.floatX", "theano.tensor.dvector"} == {
        one.subject for one in report.of("exists")
    }
    missing = {one.subject: one.text for one in report.of("missing")}
    assert missing["theano.tensor.sigmoids"] == "the nearest name is sigmoid"
    assert missing.keys() == {"theano.config.no_such_flag", "theano.tensor.sigmoids", "theano.gof.Optimizer"}
    (moved,) = report.of("change")
    assert moved.text == "write loopjax.compat.theano.tensor.signal.pool.max_pool_2d"
    assert report.needs_hands


def test_a_name_that_is_elsewhere_is_written_where_its_module_is_at_hand():
    report = port("import theano.tensor as T\nfrom theano.tensor import nnet\ny = T.softsign(x)\n")
    assert report.ported.splitlines()[-1] == "y = nnet.softsign(x)"
    assert [one.subject for one in report.of("renamed")] == ["theano.tensor.softsign"]


def test_star_imports():
    report = port("from theano.tensor import *\nx = dvector('x')\nlen(exp(x).shape)\n")
    assert {one.subject for one in report.of("exists")} == {"theano.tensor.dvector", "theano.tensor.exp"}


def test_values_written_into():
    report = port(
        "import theano\nw = theano.shared(v)\nw.get_value(borrow=True)[2:] += 1  # a\n"
        "held = w.get_value(borrow=True)\nheld[0] = 1\nother = w.get_value(borrow=True)\nother[0] = 1\n"
        "w.set_value(other)\n"
    )
    assert report.ported.splitlines()[2] == (
        "_value = w.get_value(borrow=True); _value[2:] += 1; w.set_value(_value)  # a"
    )
    assert [(one.line, one.subject) for one in report.of("change")] == [(5, "held[0]")]


def test_what_needs_a_hand():
    report = port(
        "import theano\nimport lasagne\nfrom lasagne import layers\nclass A(theano.Op):\n    def c_code(self): pass\n"
        "class B(theano.Op):\n    def c_code(self): pass\n    def perform(self): pass\n"
    )
    assert [one.subject for one in report.of("change")] == ["import lasagne", "class A"]
    assert [one.subject for one in report.of("note")] == ["class B"]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("numpy.float", "numpy.float64"),
        ("numpy.cast['float32'](a / 2)", "numpy.dtype('float32').type(a / 2)"),
        ("numpy.product(a)", "numpy.prod(a)"),
        ("time.clock()", "time.perf_counter()"),
        ("numpy.float32", "numpy.float32"),
    ],
)
def test_names_of_numpy_that_are_gone(before, after):
    assert port(f"import numpy, time\nb = {before}\n").ported.splitlines()[-1] == f"b = {after}"


def test_what_cannot_be_read():
    report = port("import theano\ndef f(:\n", "a.py")
    assert report.needs_hands
    assert str(report).startswith("a.py: cannot be read: neither Python 2 nor Python 3")


class TestCommand:
    def test_writes_a_folder_and_sums_it_up(self, tmp_path, capsys):
        (tmp_path / "inner").mkdir()
        one, two = tmp_path / "one.py", tmp_path / "inner" / "two.py"
        one.write_text("import theano\nprint 1\n")
        two.write_bytes("# Größe\nimport numpy\n".encode("latin-1"))
        assert main([str(tmp_path), "--write"]) == 0
        assert one.read_text() == "import loopjax.compat.theano as theano\nprint(1)\n"
        assert two.read_bytes() == "# Größe\nimport numpy\n".encode("latin-1")
        printed = capsys.readouterr().out
        assert "      1  import theano: import loopjax.compat.theano as theano" in printed
        assert "2 files, 1 of them to port: 1 need nothing more, 0 a hand" in printed

    def test_a_package_that_is_ported_with_its_files_is_no_other(self, tmp_path):
        (tmp_path / "lasagne").mkdir()
        (tmp_path / "lasagne" / "__init__.py").write_text("import theano\n")
        program = tmp_path / "program.py"
        program.write_text("import theano\nimport lasagne\n")
        assert main([str(tmp_path)]) == 0
        assert main([str(program)]) == 1

    def test_reports_without_writing(self, tmp_path, capsys):
        path = tmp_path / "one.py"
        path.write_text("import theano\ntheano.no_such_name\n")
        assert main([str(path)]) == 1
        assert path.read_text().startswith("import theano\n")
        assert "missing:\n      2  theano.no_such_name" in capsys.readouterr().out

    def test_a_path_that_is_not_there(self, capsys):
        with pytest.raises(SystemExit):
            main(["no_such_file.py"])
        assert "no file or folder no_such_file.py; expected a .py file" in capsys.readouterr().err


def test_names_that_ports_asked_for():
    tensor, graph = theano.tensor, theano.gof.graph
    x, y = tensor.dvector("x"), tensor.dvector("y")
    assert graph.is_same_graph(x + 1, x + 1)
    assert not graph.is_same_graph(x + 1, y + 1)
    assert graph.is_same_graph(x + 1, y + 1, {x: y})
    assert theano.scan_module.scan_utils.equal_computations([x * 2], [x * 2])
    tensor.verify_grad(lambda v: v**2, [[1.0, 2.0]])
    theano.tests.unittest_tools.verify_grad(lambda v: v**2, [[1.0, 2.0]])
    assert theano.sandbox.cuda.dnn.dnn_present() is False
    assert theano.config.print_global_stats is False
