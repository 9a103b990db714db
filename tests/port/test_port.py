"""Programs in the habits of Theano's time run after ``--write`` and print what they should."""

import contextlib
import io
import os
import pathlib
import runpy
import sys

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


def test_unknown_quotients_are_noted():
    """Each quotient whose operands may both be integers, and none that has a float."""
    lines = [
        "import theano, numpy, theano.tensor as T",
        "x = T.ivector('x')",
        "theano.map(lambda v: v / 2, sequences=x)",  # noted
        "def half(a, by=3, rate=.5):",
        "    a /= 2",  # noted
        "    return a / 3, a / by, a / rate",  # two noted
        "half(x, 2, rate=1)",
        "k = 5",
        "k = k * .5",
        "k / 2, 1 / unknown, unknown / k, 1. / unknown",  # three noted
        "T.exp(x) / x, T.mean(x) / 2, numpy.zeros(3) / 2, x.astype('float32') / x, T.scalar() / x",
        "numpy.random.RandomState(1).uniform(low=-k / 4, high=numpy.sqrt(6. / (2 + 3)) / 2)",  # one noted
        "print x",
    ]
    report = port("\n".join(lines) + "\n")
    assert "//" not in report.ported
    assert sorted((one.line, one.subject) for one in report.of("note")) == [
        (3, "v / 2"),
        (5, "a /= 2"),
        (6, "a / 3"),
        (6, "a / by"),
        (6, "a / rate"),
        (10, "1 / unknown"),
        (10, "k / 2"),
        (10, "unknown / k"),
        (12, "-k / 4"),
    ]


@pytest.mark.parametrize(
    "quotient",
    [
        "x / T.constant(2)",
        "theano.shared(5) / 2",
        "n / 2",
        "x.sum() / x.shape[0]",
        "T.cast(x, 'int64') / 2",
        "numpy.asarray([1, 2]) / 2",
        "numpy.zeros(3, 'int32') / 2",
        "net.rows / 2",
        "net.width / net.rows",
        "T.maximum(x, 1) / sum(len(one) for one in lists)",
        "counted / 2",
    ],
)
def test_integers_that_are_inferred(quotient):
    text = (
        "import theano, numpy, theano.tensor as T\nx = T.ivector('x')\nn = theano.shared(numpy.arange(4))\n"
        "class Net(object):\n    width = 4\n    def __init__(self, rows=3):\n        self.rows = rows\n"
        f"for at, counted in enumerate([10, 20]):\n    print({quotient})\nunicode\n"
    )
    assert port(text).ported.splitlines()[-2] == f"    print({quotient.replace('/', '//')})"


def test_values_written_into():
    report = port(
        "import theano\nw = theano.shared(v)\nw.get_value(borrow=True)[2:] += 1  # a\n"
        "held = w.get_value(borrow=True)\nheld[0] = 1\nother = w.get_value(borrow=True)\nother[0] = 1\n"
        "w.set_value(other)\n"
    )
    assert report.ported.splitlines()[2] == (
        "_value = w.get_value(borrow=True); _value[2:] += 1; w.set_value(_value)  # a"
    )
    assert [(one.line, one.subject) for one in report.of("change")] == [(5, "held[0] = 1")]


def test_other_edits_of_a_statement_that_writes_into_a_value():
    text = "import theano\nw.get_value(borrow=True)[7 / 2] = numpy.float(xrange(8)[0])\n"
    assert port("import numpy\n" + text).ported.splitlines()[2] == (
        "_value = w.get_value(borrow=True); _value[7 // 2] = numpy.float64(range(8)[0]); w.set_value(_value)"
    )
    assert port("import theano\nw.get_value()[0] = 1\n").ported.endswith("\nw.get_value()[0] = 1\n")
    for call in ("numpy.add(a, b, out={})", "clip({}, 0)", "rng.shuffle({})", "{}.fill(0)"):
        text = "import theano\ndef clip(a, low):\n    a[a < low] = low\n{}\n"
        ported = port(text.format(call.format("w.get_value(borrow=True)"))).ported
        statement = call.format("_value")
        assert ported.splitlines()[-1] == f"_value = w.get_value(borrow=True); {statement}; w.set_value(_value)"


@pytest.mark.parametrize(
    "write",
    [
        "v *= 2",
        "v[0] = 1",
        "v[0], other = 1, 2",
        "v[0, 1:] += 1",
        "v.fill(0)",
        "v.sort(axis=0)",
        "v.flat = 1",
        "v.T[0] = 1",
        "numpy.add(v, 1, out=v)",
        "numpy.add(v, 1, v)",
        "numpy.exp(v, out=(v[:2],))",
        "numpy.copyto(v, 0)",
        "numpy.add.at(v, 0, 1)",
        "rng.shuffle(v)",
        "double(v)",
        "twice(1, b=v)",
        "self.held -= 1",
        "got() [0] = 1",
        "table['w'] *= 2",
        "data += 1",
    ],
)
@pytest.mark.parametrize("inner", [False, True])
def test_writes_by_way_of_a_name(write, inner):
    """Writes into an array that a shared variable holds in Theano, at the module's level and in a function."""
    text = (
        "import theano, numpy\nv = w.get_value(borrow=True)\nself.held = w.get_value(borrow=True)\n"
        "def double(a):\n    a *= 2\ndef twice(n, b):\n    double(b)\ndef got():\n    return w.get_value(borrow=True)\n"
        "table = {p.name: p.get_value(borrow=True) for p in params}\ndata = numpy.ones(3)\ndata *= 2\n"
        "u = theano.shared(data, borrow=True)\n"
    )
    text += f"def f():\n    {write}\n" if inner else f"{write}\n"
    report = port(text)
    assert [one.subject for one in report.of("change")] == [write]
    assert "set_value(" in report.of("change")[0].text


def test_names_that_follow_a_value():
    """Views, loops and branches keep a value; copies, other names and ``set_value`` below do not."""
    text = "import theano\ndef f(p, k):\n    v = p.get_value(borrow=True)\n    row = v[1:]\n    {}\n"
    for write in (
        "row *= 2",
        "for r in v: r *= 2",
        "for p, r in zip(params, [q.get_value(borrow=True) for q in params]): r += 1",
        "same = numpy.asarray(v); same *= 2",
        "held = []; held.append(v); held[0][:] = 1",
        "held = dict(); held[k] = v\n    for r in held.values(): r += 1",
        "numpy.copyto(dst=v, src=1)",
        "[q.get_value(borrow=True).fill(0) for q in params]",
        "list(map(lambda q: q.get_value(borrow=True).fill(0), params))",
        "p.set_value(v); v *= 2",
        "other.set_value(v); v *= 2",
        "if k: v = v * 2\n    v[0] = 1",
    ):
        assert len(port(text.format(write)).of("change")) == 1, write
    for write in (
        "v *= 2; p.set_value(v)",
        "row *= 2; p.set_value(v, borrow=True)",
        "v = v * 2; v[0] = 1",
        "v.copy().fill(0); n = v.shape[0]; n += 1",
        "u = p.get_value(); u *= 2",
        "u = p.get_value(borrow=False); u *= 2",
        "held = [v]; held[0] = 1; held.sort()",
    ):
        assert not port(text.format(write)).of("change"), write
    (note,) = port(text.format("one = v[k]; one += 1")).of("note")
    assert note.subject == "one += 1"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("file('a', 'w')", "open('a', 'w')"),
        ("string.join(words)", "' '.join(words)"),
        ("string.join(string.split(a + b), '-')", "'-'.join((a + b).split())"),
        ("map(string.strip, words)", "list(map(str.strip, words))"),
        ("string.letters + string.uppercase", "string.ascii_letters + string.ascii_uppercase"),
        ("string.atoi('7') / 2", "int('7') // 2"),
        ("cmp(a, b) / 2", "((a > b) - (a < b)) / 2"),
        ("apply(f, a, b)", "f(*a, **b)"),
        ("intern(a)", "sys.intern(a)"),
        ("long(a) + sys.maxint", "int(a) + sys.maxsize"),
        ("os.getcwdu()", "os.getcwd()"),
        ("array.tostring()", "array.tobytes()"),
        ("d.has_key(a)", "a in d"),
        ("itertools.izip(a, b)", "zip(a, b)"),
        ("operator.isCallable(a)", "callable(a)"),
    ],
)
def test_names_of_python_2(before, after):
    """One such name makes a program one of Python 2, without any of its syntax."""
    report = port(f"import theano, sys, os, string, itertools, operator\na = b = f = 1\nc = {before}\nunicode(a)\n")
    assert report.ported.splitlines()[-2] == f"c = {after}"
    assert not report.needs_hands


@pytest.mark.parametrize(
    ("line", "subject"),
    [
        ("from string import letters", "string.letters"),
        ("import sets", "import sets"),
        ("'a'.encode('hex')", "'a'.encode('hex')"),
        ("isinstance(a, file)", "file"),
        ("sorted(a, key=b, reverse=cmp)", "cmp"),
        ("coerce(a, b)", "coerce"),
        ("sys.setdefaultencoding('utf8')", "sys.setdefaultencoding"),
        ("os.path.walk(a, b, c)", "os.path.walk"),
        ("map(None, a, b)", "map(None, a, b)"),
        ("pickle.load(open(a))", "pickle.load(open(a))"),
        ("class A: __metaclass__ = B", "A.__metaclass__"),
        ("class A:\n    def __cmp__(self, other): return 0", "A.__cmp__"),
        ("class A:\n    def __div__(self, other): return 0", "A.__div__"),
    ],
)
def test_what_python_3_lacks_is_reported(line, subject):
    report = port(f"import theano, os, sys, pickle\n{line}\n")
    assert [one.subject for one in report.of("change")] == [subject]


def test_names_that_a_program_makes_are_its_own():
    text = (
        "import theano\ndef f(file, cmp=None):\n    long = file.read(cmp)\n    return long / 2, x.reduce, round(.5)\n"
    )
    report = port(text)
    assert not report.python2
    assert not report.of("change", "note")


def test_a_generator_ends_by_return():
    text = "import theano\ndef f():\n    yield 1\n    raise StopIteration()\ndef g():\n    raise StopIteration\n"
    assert port(text).ported.splitlines()[3::2] == ["    return", "    raise StopIteration"]


def test_lines_are_those_of_the_source():
    """Lines that the tool inserts move no other: pairs are of the same statement, remarks at their lines."""
    text = (
        "from itertools import izip\nimport theano\n\f\ndef f((a, b), c):\n    print a\n"
        "    print reduce(c, [a, b])\n    return a / b\ntheano.no_name\n"
    )
    report = port(text)
    pairs = {(one.line, one.subject, one.new) for one in report.of("changed")}
    assert pairs == {
        (1, "from itertools import izip", ""),
        (2, "", "from functools import reduce"),
        (2, "import theano", "import loopjax.compat.theano as theano"),
        (4, "def f((a, b), c):", "def f(xxx_todo_changeme, c):"),
        (4, "", "(a, b) = xxx_todo_changeme"),
        (5, "print a", "print(a)"),
        (6, "print reduce(c, [a, b])", "print(reduce(c, [a, b]))"),
    }
    assert [(one.line, one.subject) for one in report.of("note", "missing")] == [(7, "a / b"), (8, "theano.no_name")]
    assert "      5  print a\n         -> print(a)\n" in str(report)


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
        assert "  written:\n      1  import theano\n         -> import loopjax.compat.theano as theano\n" in printed
        assert "2 files, 1 of them to port: 1 need nothing more, 0 a hand" in printed

    def test_a_second_run_says_that_a_file_is_ported(self, tmp_path, capsys):
        one, two = tmp_path / "one.py", tmp_path / "two.py"
        one.write_text("import theano\nprint 1\n")
        two.write_text("import theano\nv = w.get_value(borrow=True)\nv *= 2\nraw_input(); v / 2; coerce(1, 2)\n")
        assert main([str(tmp_path), "--write"]) == 1
        ported = two.read_text()
        assert "\ninput(); v / 2; coerce(1, 2)\n" in ported
        capsys.readouterr()
        assert main([str(one)]) == 0
        assert "one.py: theano, already ported, " in capsys.readouterr().out
        assert main([str(tmp_path), "--write"]) == 1
        assert two.read_text() == ported
        printed = capsys.readouterr().out
        assert "3  v *= 2: " in printed
        assert "2 files, 1 already ported, 1 of them to port: 0 need nothing more, 1 a hand" in printed

    def test_without_fissix_there_is_a_message_and_nothing_is_written(self, tmp_path, capsys, monkeypatch):
        monkeypatch.setitem(sys.modules, "fissix.pgen2.parse", None)
        one, two = tmp_path / "one.py", tmp_path / "two.py"
        one.write_text("import theano\n")
        two.write_text("import theano\nprint 1\n")
        assert main([str(tmp_path), "--write"]) == 2
        assert one.read_text() == "import theano\n"
        printed = capsys.readouterr()
        assert printed.out == ""
        assert printed.err == f"{two}: Python 2 is read by fissix: pip install 'loopjax[port]'\n"

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
