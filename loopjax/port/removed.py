"""Names and habits of Python 2 that the fixers of ``python2`` leave: replaced where that is mechanical, or reported."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from loopjax.port.numpy_names import LIBRARY
from loopjax.port.report import Finding
from loopjax.port.source import Source, called, dotted, scopes

BUILTINS = {
    "apply": "write f(*args)",
    "basestring": "write str",
    "buffer": "write memoryview",
    "cmp": "write (a > b) - (a < b)",
    "coerce": "convert both by hand",
    "execfile": "write exec(open(path).read())",
    "file": "write open, and io.IOBase for the type",
    "intern": "write sys.intern",
    "long": "write int",
    "raw_input": "write input",
    "reduce": "import it from functools",
    "reload": "import it from importlib",
    "unichr": "write chr",
    "unicode": "write str",
    "xrange": "write range",
}
"""Functions that are no longer built in."""

STRING_METHODS = frozenset(
    [
        "capitalize",
        "center",
        "count",
        "expandtabs",
        "find",
        "index",
        "ljust",
        "lower",
        "lstrip",
        "replace",
        "rfind",
        "rindex",
        "rjust",
        "rsplit",
        "rstrip",
        "split",
        "strip",
        "swapcase",
        "upper",
        "zfill",
    ]
)
"""Functions of the module ``string`` that are methods of strings."""

GONE = {
    "string": {
        "join": "write separator.join(words)",
        "joinfields": "write separator.join(words)",
        "splitfields": "write text.split(separator)",
        "translate": "write text.translate(table)",
        "letters": "write ascii_letters",
        "lowercase": "write ascii_lowercase",
        "uppercase": "write ascii_uppercase",
        "maketrans": "write str.maketrans",
        "atoi": "write int",
        "atol": "write int",
        "atof": "write float",
        **{name: f"write text.{name}(...)" for name in STRING_METHODS},
    },
    "sys": {
        "setdefaultencoding": "remove it, since strings are Unicode",
        "exc_clear": "remove it",
        "maxint": "write sys.maxsize",
        "subversion": "write sys.version",
        "setcheckinterval": "write sys.setswitchinterval",
        "getcheckinterval": "write sys.getswitchinterval",
    },
    "os": {
        "getcwdu": "write os.getcwd",
        "errno": "import errno",
        **dict.fromkeys(("popen2", "popen3", "popen4"), "write subprocess.Popen"),
        **dict.fromkeys(("tmpnam", "tempnam", "tmpfile"), "use the module tempfile"),
    },
    "os.path": {"walk": "write os.walk"},
    "itertools": {
        "izip": "write zip",
        "imap": "write map",
        "ifilter": "write filter",
        "ifilterfalse": "write filterfalse",
        "izip_longest": "write zip_longest",
    },
    "operator": {
        "div": "write operator.floordiv for integers, operator.truediv for floats",
        "idiv": "write operator.ifloordiv for integers, operator.itruediv for floats",
        "isCallable": "write callable",
        "sequenceIncludes": "write operator.contains",
        "repeat": "write operator.mul",
        **dict.fromkeys(("isSequenceType", "isMappingType", "isNumberType"), "write isinstance with collections.abc"),
    },
    "fractions": {"gcd": "write math.gcd"},
    "cgi": {"escape": "write html.escape"},
    "random": {"jumpahead": "make another random.Random(seed)"},
    "numpy": {
        "asscalar": "write x.item()",
        "asfarray": "write asarray(x, float)",
        "find_common_type": "write result_type",
        "getbuffer": "write memoryview",
        "newbuffer": "write bytearray",
    },
}
"""Names that modules no longer have."""

MODULES = {
    "sets": "set is built in",
    "md5": "write hashlib.md5",
    "sha": "write hashlib.sha1",
    "exceptions": "its names are built in",
    "new": "use the module types",
    "popen2": "use the module subprocess",
    "compiler": "use the module ast",
    "imp": "use the module importlib",
    "distutils": "use setuptools",
    **dict.fromkeys(("rfc822", "mimetools", "MimeWriter"), "use the package email"),
    **dict.fromkeys(("htmllib", "sgmllib"), "use html.parser"),
}
"""Modules that Python no longer has."""

SPECIAL = {
    "__cmp__": ("__lt__", "Python 3 does not call it: write __eq__ and __lt__, with functools.total_ordering"),
    "__getslice__": ("", "Python 3 calls __getitem__ with a slice"),
    "__setslice__": ("", "Python 3 calls __setitem__ with a slice"),
    "__delslice__": ("", "Python 3 calls __delitem__ with a slice"),
    "__div__": ("__truediv__", "Python 3 calls __truediv__"),
    "__rdiv__": ("__rtruediv__", "Python 3 calls __rtruediv__"),
    "__idiv__": ("__itruediv__", "Python 3 calls __itruediv__"),
    "__nonzero__": ("__bool__", "Python 3 calls __bool__"),
    "__unicode__": ("__str__", "Python 3 calls __str__"),
    "__long__": ("__int__", "Python 3 calls __int__"),
    "__oct__": ("__index__", "Python 3 calls __index__"),
    "__hex__": ("__index__", "Python 3 calls __index__"),
    "__coerce__": ("", "Python 3 does not call it"),
    "__metaclass__": ("", "Python 3 does not read it: write class Name(metaclass=...)"),
}
"""Names in a class that Python 3 does not look for, each with the one that it does, and advice."""

CODECS = {"hex", "base64", "bz2", "zip", "zlib", "rot13", "rot_13", "string_escape", "quopri", "uu", "unicode_internal"}
"""Encodings of text that only the module ``codecs`` has."""


def made_names(tree: ast.AST) -> set[str]:
    """The names that a source binds itself, in any scope."""
    made: set[str] = set()
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name, ctx=ast.Store()) | ast.arg(arg=name) | ast.ExceptHandler(name=str(name)):
                made.add(name)
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                made.add(name)
            case ast.Import(names=aliases) | ast.ImportFrom(names=aliases):
                made.update((alias.asname or alias.name).partition(".")[0] for alias in aliases)
    return made


def gone_names(tree: ast.AST) -> Iterator[tuple[ast.Attribute | ast.ImportFrom, str, str]]:
    """Uses of names that modules no longer have, each with the module and the name."""
    modules = {
        alias.asname or alias.name: alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.Import)
        for alias in node.names
    }
    if "os" in modules.values():
        modules["os.path"] = "os.path"
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and (path := dotted(node)):
            module = modules.get(".".join(path[:-1]), "")
            if node.attr in GONE.get(module, ()):
                yield node, module, node.attr
        elif isinstance(node, ast.ImportFrom) and node.module in GONE and not node.level:
            yield from ((node, node.module, alias.name) for alias in node.names if alias.name in GONE[node.module])


def replaced(source: Source) -> Iterator[Finding]:
    """Edit what is mechanical, the outermost of each expression; the edited text is to be read again."""
    made = made_names(source.tree)
    strings = {alias.asname or alias.name for node in source.nodes if isinstance(node, ast.Import)
               for alias in node.names if alias.name == "string"}  # fmt: skip
    for node in source.nodes:
        new = None
        match node:
            case ast.Call(func=ast.Name(id="file" | "buffer" as name) as function) if name not in made:
                if name == "file" or len(node.args) == 1:
                    new, node = {"file": "open", "buffer": "memoryview"}[name], function
            case ast.Call(func=ast.Name(id="cmp"), args=[first, second]) if "cmp" not in made:
                if all(isinstance(one, ast.Name | ast.Constant | ast.Attribute) for one in (first, second)):
                    one, other = source.segment(first), source.segment(second)
                    new = f"(({one} > {other}) - ({one} < {other}))"
            case ast.Call(func=ast.Attribute(attr="tostring", value=value), args=[], keywords=[]):
                new = f"{source.segment(value)}.tobytes()"
            case ast.Call(func=ast.Attribute(value=ast.Name(id=module)), keywords=[]) if module in strings:
                new = _as_method(source, node)
            case ast.Attribute(value=ast.Name(id=module), attr=name) if module in strings and name in STRING_METHODS:
                outer = source.parents.get(node)
                if not (isinstance(outer, ast.Call) and outer.func is node):
                    new = f"str.{name}"
        if new is not None and isinstance(node, ast.expr):
            old = source.segment(node)
            source.edit(source.span(node), old, new)
            yield Finding("changed", node.lineno, old)
    for _, own in scopes(source.tree):
        if any(isinstance(node, ast.Yield) for node in own):
            for node in own:
                if isinstance(node, ast.Raise) and source.segment(node).removesuffix("()") == "raise StopIteration":
                    source.edit(source.span(node), source.segment(node), "return")
                    yield Finding("changed", node.lineno, "raise StopIteration", "a generator ends by return")


def _as_method(source: Source, node: ast.Call) -> str | None:
    """A call of a function of ``string`` as one of a method, such as ``separator.join(words)``."""
    assert isinstance(node.func, ast.Attribute)
    name = node.func.attr.replace("fields", "")
    if name == "join" and len(node.args) in (1, 2):
        words, *separator = node.args
        return f"{_atom(source, separator[0]) if separator else repr(' ')}.join({source.segment(words)})"
    if name in STRING_METHODS and node.args:
        first, *rest = node.args
        return f"{_atom(source, first)}.{name}({', '.join(map(source.segment, rest))})"
    return None


def _atom(source: Source, node: ast.expr) -> str:
    """The text of an expression, in parentheses where it needs them before a dot."""
    text = source.segment(node)
    is_atom = isinstance(node, ast.Name | ast.Attribute | ast.Call | ast.Subscript | ast.Constant)
    return text if is_atom and "\n" not in text else f"({text})"


def removed(source: Source) -> Iterator[Finding]:
    """Findings for what Python 3 lacks or does in another way, and no edit replaces."""
    made = made_names(source.tree)
    for found, module, name in gone_names(source.tree):
        if isinstance(found, ast.Attribute) and f"{module}.{name}" in LIBRARY:
            continue
        yield Finding("change", found.lineno, f"{module}.{name}", f"gone: {GONE[module][name]}")
    for node in source.nodes:
        match node:
            case ast.Name(id=name, ctx=ast.Load()) if name in BUILTINS and name not in made:
                yield Finding("change", node.lineno, name, f"gone: {BUILTINS[name]}")
            case ast.ClassDef():
                yield from _special(node)
            case ast.Import() | ast.ImportFrom(level=0):
                yield from _modules(source, node)
            case ast.Call():
                yield from _called(source, node, made)


def _special(node: ast.ClassDef) -> Iterator[Finding]:
    """Findings for methods of a class that Python 3 does not call."""
    names: dict[str, int] = {}
    for one in node.body:
        if isinstance(one, ast.FunctionDef):
            names[one.name] = one.lineno
        elif isinstance(one, ast.Assign):
            names.update((target.id, one.lineno) for target in one.targets if isinstance(target, ast.Name))
    for name in names.keys() & SPECIAL.keys():
        newer, text = SPECIAL[name]
        if newer not in names:
            yield Finding("change", names[name], f"{node.name}.{name}", text)


def _modules(source: Source, node: ast.Import | ast.ImportFrom) -> Iterator[Finding]:
    """Findings for imports of modules that are gone, but for those that a program tries."""
    if isinstance(source.parents.get(node), ast.Try):
        return
    modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]
    for module in modules:
        if advice := MODULES.get(module.partition(".")[0]):
            yield Finding("change", node.lineno, f"import {module}", f"gone: {advice}")


def _called(source: Source, node: ast.Call, made: set[str]) -> Iterator[Finding]:
    """Findings for calls that Python 3 answers in another way."""
    name, text = called(node), source.segment(node)
    first = node.args[0] if node.args else None
    if isinstance(node.func, ast.Name) and name in made:
        return
    if name in ("encode", "decode") and isinstance(first, ast.Constant) and first.value in CODECS:
        yield Finding("change", node.lineno, text, f"write codecs.{name}(..., {first.value!r}), which is of bytes")
    elif name == "map" and isinstance(first, ast.Constant) and first.value is None:
        yield Finding("change", node.lineno, text, "write itertools.zip_longest")
    elif name == "isAlive" and isinstance(node.func, ast.Attribute):
        yield Finding("change", node.lineno, text, "write is_alive()")
    elif name == "has_key" and isinstance(node.func, ast.Attribute):
        yield Finding("change", node.lineno, text, "write key in dictionary")
    elif name in ("iteritems", "iterkeys", "itervalues") and isinstance(node.func, ast.Attribute) and not node.args:
        yield Finding("change", node.lineno, text, f"write {name.removeprefix('iter')}()")
    elif name == "itemset" and isinstance(node.func, ast.Attribute):
        yield Finding("change", node.lineno, text, "NumPy lacks it: write array[index] = value")
    elif name in ("load", "dump") and dotted(node.func) == ["pickle", name]:
        file = node.args[int(name == "dump") : int(name == "dump") + 1]
        if file and called(file[0]) == "open" and "b" not in _mode(file[0]):
            yield Finding("change", node.lineno, text, "pickle needs a file of bytes: open it with 'rb' or 'wb'")


def _mode(node: ast.expr) -> str:
    """The mode in which ``open`` is called."""
    assert isinstance(node, ast.Call)
    modes = [*node.args[1:2], *(word.value for word in node.keywords if word.arg == "mode")]
    return str(modes[0].value) if modes and isinstance(modes[0], ast.Constant) else "r" if not modes else "b"


def rounded(source: Source) -> Iterator[Finding]:
    """Findings for ``round`` of Python 2, which rounds halves away from zero."""
    if "round" in made_names(source.tree):
        return
    for node in source.nodes:
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "round":
            text = "Python 3 rounds halves to even, and to an int where no digits are given"
            yield Finding("note", node.lineno, source.segment(node), text)
