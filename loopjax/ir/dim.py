"""Dims: lengths as canonical integer expressions.

A ``Dim`` is a polynomial with integer coefficients whose atoms are variables, minima, maxima, quotients and choices by
sign. Two lengths are equal wherever their dims are: ``(k + 1) * 3 - k * 3`` is 3, and ``n - (n - k)`` is ``k``.
``Dim.of(x[i : i + 3].shape[0])`` is read from the nodes that compute it; what is no integer arithmetic is an atom.

``Interval`` gives the least and the greatest value by those of the variables. It is interval arithmetic (Moore 1966)
after cancellation: a minimum or maximum is first split into its cases, so that ``minimum(i + 3, n) - i`` is known to be
at most 3.

Limits: expressions that need more than ``MOST_BRANCHES`` case splits, or products of two factors of unknown sign,
have no bounds; an expression of more than ``MOST_TERMS`` terms is an atom.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial, reduce
from typing import Any, Literal, NamedTuple

from loopjax.ir.graph import Apply, Constant, Variable, toposort

MOST_BRANCHES = 256
"""Case splits of one bound; beyond them it has none."""

MOST_TERMS = 64
"""Terms of a dim, with those of its atoms. What would have more is an atom itself."""


Kind = Literal["minimum", "maximum"]


@dataclass(frozen=True)
class Extreme:
    """The least (``minimum``) or the greatest (``maximum``) of dims, in any order."""

    kind: Kind
    operands: tuple[Dim, ...] = field(compare=False)
    _same: frozenset[Dim]


class Element(NamedTuple):
    """The minimum or maximum of 0 and an integer array's elements; 0 for an empty array."""

    kind: Kind
    array: Variable


class Quotient(NamedTuple):
    """A dim divided by a positive number, rounded down."""

    dividend: Dim
    divisor: int


class Choice(NamedTuple):
    """Selection by sign: ``negative`` where ``sign < 0``, else ``other``."""

    sign: Dim
    negative: Dim
    other: Dim


Atom = Variable | Extreme | Element | Quotient | Choice


class Product(tuple[Atom, ...]):
    """A product of atoms: equal in any order, and emitted in that in which it was written."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, tuple) and _by_hash(self) == _by_hash(other)

    def __hash__(self) -> int:
        return hash(_by_hash(self))


def _by_hash(product: tuple[Atom, ...]) -> tuple[Atom, ...]:
    return tuple(sorted(product, key=hash)) if len(product) > 1 else tuple(product)


ONE = Product()


class Dim:
    """An integer as a polynomial: from products of atoms to coefficients other than 0."""

    def __init__(self, terms: Mapping[Product, int]) -> None:
        self.terms = {product: number for product, number in terms.items() if number}

    @cached_property
    def _key(self) -> frozenset[tuple[Product, int]]:
        return frozenset(self.terms.items())

    @cached_property
    def _hash(self) -> int:
        return hash(self._key)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Dim) and self._hash == other._hash and self._key == other._key

    def __hash__(self) -> int:
        return self._hash

    def __add__(self, other: Dim | int) -> Dim:
        terms = dict(self.terms)
        for product, number in _dim(other).terms.items():
            terms[product] = terms.get(product, 0) + number
        return Dim(terms)

    def __sub__(self, other: Dim | int) -> Dim:
        return self + _dim(other) * -1

    def __mul__(self, other: Dim | int) -> Dim:
        total = ZERO
        for product, number in self.terms.items():
            for factor, times in _dim(other).terms.items():
                total += Dim({Product((*product, *factor)): number * times})
        return total

    def __repr__(self) -> str:
        return " + ".join("*".join(map(str, (number, *product))) for product, number in self.terms.items()) or "0"

    @property
    def number(self) -> int | None:
        """The value of a constant."""
        return self.terms.get(ONE, 0) if self.terms.keys() <= {ONE} else None

    @property
    def atom(self) -> Atom | None:
        """Its only atom, where it is one atom with coefficient 1."""
        ((product, factor), *rest) = self.terms.items() or [(ONE, 0)]
        return product[0] if len(product) == 1 and factor == 1 and not rest else None

    @property
    def variables(self) -> list[Variable]:
        """The variables among the atoms of its products."""
        return [atom for product in self.terms for atom in product if isinstance(atom, Variable)]

    @cached_property
    def reads_elements(self) -> bool:
        """True where an element of an array is needed to compute it."""
        atoms = [atom for product in self.terms for atom in product]
        return any(isinstance(atom, Element) or any(one.reads_elements for one in _parts(atom)) for atom in atoms)

    @cached_property
    def size(self) -> int:
        """The number of its products, with those of its atoms."""
        atoms = [atom for product in self.terms for atom in product]
        return len(atoms) + len(self.terms) + sum(one.size for atom in atoms for one in _parts(atom))

    def replaced(self, atom: Atom, by: Dim) -> Dim:
        """Return the dim with an atom, which is in no product, replaced."""
        single = Product((atom,))
        return Dim({product: number for product, number in self.terms.items() if product != single}) + (
            by * self.terms[single]
        )

    def renamed(self, names: Mapping[Atom, Atom]) -> Dim:
        """Return the dim with atoms of its products replaced by others."""
        terms = (Dim({Product([names.get(atom, atom) for atom in one]): n}) for one, n in self.terms.items())
        return sum(terms, start=ZERO)

    @staticmethod
    def of(length: Variable | int) -> Dim:
        """Return the dim of a length, from the integer arithmetic that computes it.

        That of an array is the dim of each of its elements, where the atoms that are arrays differ.
        """
        if isinstance(length, int):
            return _dim(length)
        found: dict[Variable, Dim] = {}
        for node in _walk(length):
            operands = [found.get(variable) or _leaf(variable) for variable in node.inputs]
            dim = _of_node(node, operands) if _is_arithmetic(node) else None
            dim = None if dim is not None and dim.size > MOST_TERMS else dim
            found.update((output, dim or _of_atom(output)) for output in node.outputs)
        return found.get(length) or _leaf(length)


def arithmetic(length: Variable) -> list[Apply]:
    """Return the nodes that the dim of a length is read from."""
    return [node for node in _walk(length) if _is_arithmetic(node)]


def _walk(length: Variable) -> list[Apply]:
    """Return the nodes of integer arithmetic, and those where the walk stops, which are atoms."""
    return toposort([length], reads=lambda node: node.inputs if _is_arithmetic(node) else ())


def is_natural_number(dim: Dim) -> bool:
    """Test if a dim is a number that is not negative."""
    return dim.number is not None and dim.number >= 0


def _parts(atom: Atom) -> tuple[Dim, ...]:
    """Return the dims that an atom is made of."""
    if isinstance(atom, Quotient):
        return (atom.dividend,)
    if isinstance(atom, Extreme):
        return atom.operands
    return tuple(atom) if isinstance(atom, Choice) else ()


def _dim(value: Dim | int) -> Dim:
    return value if isinstance(value, Dim) else Dim({ONE: value})


ZERO = Dim({})


def _of_atom(atom: Atom) -> Dim:
    return Dim({Product((atom,)): 1})


def _leaf(variable: Variable) -> Dim:
    is_number = isinstance(variable, Constant) and variable.ndim == 0 and variable.type.is_integer
    return _dim(int(variable.data)) if isinstance(variable, Constant) and is_number else _of_atom(variable)


def minimum(*dims: Dim) -> Dim:
    """Return the least of dims."""
    return _extreme("minimum", dims)


def maximum(*dims: Dim) -> Dim:
    """Return the greatest of dims."""
    return _extreme("maximum", dims)


def _extreme(kind: Kind, dims: Sequence[Dim]) -> Dim:
    pick = min if kind == "minimum" else max
    # Operands that differ by a number only are one.
    found: dict[Dim, int] = {}
    for dim in flat_operands(kind, dims):
        number = dim.terms.get(ONE, 0)
        found[dim - number] = pick(found.get(dim - number, number), number)
    operands = tuple(rest + number for rest, number in found.items())
    return operands[0] if len(operands) == 1 else _of_atom(Extreme(kind, operands, frozenset(operands)))


def flat_operands(kind: Kind, dims: Iterable[Dim]) -> Iterable[Dim]:
    """Yield dims, the operands of an extreme of the same kind in its place."""
    for dim in dims:
        atom = dim.atom
        if isinstance(atom, Extreme) and atom.kind == kind:
            yield from atom.operands
        else:
            yield dim


NO_WRAP = ("int64", "int32")
"""Dtypes whose arithmetic is assumed not to wrap around; results of narrower ones are atoms."""

Operands = list[Dim]

ARITHMETIC: dict[str, Callable[[Operands], Dim | None]] = {
    "add": lambda xs: xs[0] + xs[1],
    "sub": lambda xs: xs[0] - xs[1],
    "mul": lambda xs: xs[0] * xs[1],
    "neg": lambda xs: xs[0] * -1,
    "identity": lambda xs: xs[0],
    "cast": lambda xs: xs[0],
    "trip_count": lambda xs: xs[0],
    "minimum": lambda xs: minimum(*xs),
    "maximum": lambda xs: maximum(*xs),
    "floor_div": lambda xs: _quotient(*xs),
}
"""Ops as operations on dims."""


def _is_arithmetic(node: Apply) -> bool:
    """Test if a node computes integers that do not wrap around by an op that dims know."""
    output = node.outputs[0]
    if output.dtype not in NO_WRAP or not (node.op.named("switch") or node.op.name in ARITHMETIC):
        return False
    if node.op.named("switch"):
        condition = node.inputs[0].owner
        return condition is not None and condition.op.named("lt") and all(x.type.is_integer for x in condition.inputs)
    return all(variable.type.is_integer for variable in node.inputs)


def _of_node(node: Apply, operands: Operands) -> Dim | None:
    if node.op.named("switch"):
        assert node.inputs[0].owner is not None
        left, right = map(Dim.of, node.inputs[0].owner.inputs)
        return _choice(left - right, *operands[1:])
    return ARITHMETIC[node.op.name](operands)


def _quotient(dividend: Dim, divisor: Dim) -> Dim | None:
    number = divisor.number
    if number is None or number <= 0:
        return None
    if dividend.number is not None:
        return _dim(dividend.number // number)
    if all(factor % number == 0 for factor in dividend.terms.values()):
        return Dim({product: factor // number for product, factor in dividend.terms.items()})
    return _of_atom(Quotient(dividend, number))


def _choice(sign: Dim, negative: Dim, other: Dim) -> Dim:
    if sign.number is not None:
        return negative if sign.number < 0 else other
    if sign in (negative - other, other - negative):
        return (minimum if sign == negative - other else maximum)(negative, other)
    return _of_atom(Choice(sign, negative, other))


class Bounds(NamedTuple):
    """The least and the greatest value of a dim, as dims of other variables; ``None`` where there is none."""

    least: Dim | None
    greatest: Dim | None


class Interval:
    """Interval arithmetic over dims, by the bounds ``of_leaf`` of variables."""

    def __init__(self, of_leaf: Callable[[Variable | Element], Bounds], is_nonnegative: Callable[[Dim], bool]) -> None:
        self._of_leaf = of_leaf
        self._is_nonnegative = is_nonnegative
        self._branches = 0

    def bounds(self, dim: Dim) -> Bounds:
        """Return a lower and an upper bound, each with all case splits to itself."""
        least = self.least(dim)
        self._branches = 0
        return Bounds(least, self.greatest(dim))

    def least(self, dim: Dim) -> Dim | None:
        """Return a lower bound."""
        negative = self.greatest(dim * -1)
        return None if negative is None else negative * -1

    def greatest(self, dim: Dim) -> Dim | None:
        """Return an upper bound."""
        self._branches += 1
        if self._branches > MOST_BRANCHES:
            return None
        for product, number in dim.terms.items():
            if len(product) == 1 and isinstance(product[0], (Extreme, Choice)):
                return self._split(dim, product[0], number)
        total = ZERO
        for product, number in dim.terms.items():
            bound = self._of_product(product, number)
            if bound is None:
                return None
            total += bound
        return total

    def _split(self, dim: Dim, atom: Extreme | Choice, number: int) -> Dim | None:
        """Bound a dim case by case of one minimum, maximum or choice."""
        if isinstance(atom, Choice):
            operands: Iterable[Dim] = self._cases(atom)
            is_any = False
        else:
            operands = atom.operands
            is_any = (atom.kind == "minimum") == (number > 0)
        bounds = [self.greatest(dim.replaced(atom, operand)) for operand in operands]
        known = [bound for bound in bounds if bound is not None]
        if not known or (len(known) < len(bounds) and not is_any):
            return None
        if isinstance(atom, Choice) and len(known) == 2:
            # A sign that has one value, in terms of the bounds, chooses between the bounds of both cases.
            sign = self.least(atom.sign)
            if sign is not None and sign == self.greatest(atom.sign):
                return _choice(sign, *known)
        return minimum(*known) if is_any else maximum(*known)

    def _cases(self, choice: Choice) -> tuple[Dim, ...]:
        """Return the operands of a choice that its sign allows."""
        least, greatest = self.least(choice.sign), self.greatest(choice.sign)
        if least is not None and self._is_nonnegative(least):
            return (choice.other,)
        if greatest is not None and self._is_nonnegative(greatest * -1 - 1):
            return (choice.negative,)
        return (choice.negative, choice.other)

    def _of_product(self, product: Product, number: int) -> Dim | None:
        """Return the greatest value of a product times a number."""
        if not product:
            return _dim(number)
        bounds = [self._of_atom(atom) for atom in product]
        if all(bound.least is not None and bound.least == bound.greatest for bound in bounds):
            ends = [bound.greatest for bound in bounds]
        elif len(bounds) == 1:
            ends = [bounds[0].greatest if number > 0 else bounds[0].least]
        else:
            natural = [bound for bound in bounds if bound.least is not None and self._is_nonnegative(bound.least)]
            signed = [bound for bound in bounds if bound not in natural]
            if len(signed) > 1:
                return None
            ends = [bound.greatest if number > 0 or signed else bound.least for bound in natural]
            # A factor of unknown sign: where its end has not the sign of the number, the product is at most 0.
            for least, greatest in signed:
                end, clip = (greatest, maximum) if number > 0 else (least, minimum)
                ends.append(None if end is None else clip(end, ZERO))
        total = _dim(number)
        for end in ends:
            if end is None:
                return None
            total = total * end
        return total

    def _of_atom(self, atom: Atom) -> Bounds:
        if isinstance(atom, Quotient):
            ends = self.least(atom.dividend), self.greatest(atom.dividend)
            return Bounds(*(None if end is None else _quotient(end, _dim(atom.divisor)) for end in ends))
        if isinstance(atom, (Extreme, Choice)):
            return Bounds(self.least(_of_atom(atom)), self.greatest(_of_atom(atom)))
        return self._of_leaf(atom)


def constant_bound(length: Variable) -> int | None:
    """Return a number that a length does not exceed, such as 10 for ``minimum(k, 10)``, if it shows one."""
    most = Interval(lambda leaf: Bounds(None, None), lambda dim: False).greatest(Dim.of(length))
    return None if most is None or most.number is None else max(most.number, 0)


def of_element(kind: Kind, array: Variable) -> Dim:
    """Return the least or the greatest element of an array."""
    return _of_atom(Element(kind, array))


def emitted(
    dim: Dim, calc: Callable[..., Any], choose: Callable[..., Any], of_leaf: Callable[[Variable | Element], Any]
) -> Any:
    """Return the value of a dim, by ``calc(op name, *values)`` and ``choose(sign, negative, other)``."""

    def value(one: Dim) -> Any:
        return emitted(one, calc, choose, of_leaf)

    def of_atom(atom: Atom) -> Any:
        if isinstance(atom, Extreme):
            return reduce(partial(calc, atom.kind), map(value, atom.operands))
        if isinstance(atom, Quotient):
            return calc("floor_div", value(atom.dividend), atom.divisor)
        return choose(*map(value, atom)) if isinstance(atom, Choice) else of_leaf(atom)

    total: Any = None
    # Positive terms first, the number last.
    for product, number in sorted(dim.terms.items(), key=lambda term: (not term[0], term[1] < 0)):
        factors: list[Any] = [of_atom(atom) for atom in product]
        if not factors or abs(number) != 1:
            factors.append(abs(number))
        term = reduce(partial(calc, "mul"), factors)
        if total is None:
            total = term if number > 0 else calc("sub", 0, term)
        else:
            total = calc("add" if number > 0 else "sub", total, term)
    return 0 if total is None else total
