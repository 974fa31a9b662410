"""Small faults that could be in a module, each as a change of its source text.

A fault replaces a condition by True or False, moves a boundary, drops a part of `and` or `or`, an argument by keyword,
an argument of `min` and `max`, an exception that is caught, a statement or a block around others, changes a number,
a flag or an operator, or returns nothing. Texts, annotations, decorators and logging stay as they are.
"""

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
import re
from typing import override

type Node = ast.expr | ast.stmt | ast.keyword
type Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda

_OPERATORS: dict[type[ast.AST], tuple[str, str]] = {
    ast.Lt: ("<", "<="),
    ast.LtE: ("<=", "<"),
    ast.Gt: (">", ">="),
    ast.GtE: (">=", ">"),
    ast.Eq: ("==", "!="),
    ast.NotEq: ("!=", "=="),
    ast.Is: ("is", "is not"),
    ast.IsNot: ("is not", "is"),
    ast.In: ("in", "not in"),
    ast.NotIn: ("not in", "in"),
    ast.Add: ("+", "-"),
    ast.Sub: ("-", "+"),
    ast.Mult: ("*", "/"),
    ast.Div: ("/", "*"),
    ast.FloorDiv: ("//", "/"),
    ast.Mod: ("%", "*"),
    ast.LShift: ("<<", ">>"),
    ast.RShift: (">>", "<<"),
    ast.BitAnd: ("&", "|"),
    ast.BitOr: ("|", "&"),
}
_BOUNDARIES = (ast.Lt, ast.LtE, ast.Gt, ast.GtE)
_NEEDS_BRACKETS = (ast.BoolOp, ast.IfExp, ast.Lambda, ast.NamedExpr)


@dataclass(frozen=True, kw_only=True, slots=True)
class Mutant:
    """A change of a module: the bytes between two offsets of its source are replaced."""

    path: str
    source: bytes
    start: int
    end: int
    text: bytes
    # The lines of which a test must run one in order to notice, in order of preference.
    lines: tuple[range, ...]
    # The lines of the function, or of the statement in a module or a class.
    around: range
    # The name of the module or a class that has another value, if that is what changes.
    constant: str | None
    # Whether only the code of functions changes.
    in_function: bool

    @property
    def line(self) -> int:
        """Return the number of the first line that changes."""
        return self.source.count(b"\n", 0, self.start) + 1

    @property
    def mutated(self) -> bytes:
        """Return the source of the module with the change."""
        return self.source[: self.start] + self.text + self.source[self.end :]

    @override
    def __str__(self) -> str:
        """Return the changed lines, before and after."""
        first = self.source.rfind(b"\n", 0, self.start) + 1
        last = self.source.find(b"\n", self.end) % (len(self.source) + 1)
        before = self.source[first:last]
        after = self.source[first : self.start] + self.text + self.source[self.end : last]
        return "\n".join(
            f"{sign} {line}"
            for sign, lines in (("-", before), ("+", after))
            for line in lines.decode().splitlines()
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """Where a node stands."""

    statement: ast.stmt | None = None
    function: Function | None = None
    constant: str | None = None
    # Whether the node itself is replaced by True and by False.
    is_condition: bool = False


def find_mutants(path: str, source: bytes) -> list[Mutant]:
    """Return the faults of a module, in the order of its lines."""
    found = (mutant for mutant in Mutations(path, source) if _is_valid(mutant.mutated))
    return sorted(found, key=lambda mutant: (mutant.start, mutant.end))


def _is_valid(source: bytes) -> bool:
    """Return whether Python accepts a source."""
    try:
        compile(source, "", "exec", dont_inherit=True)
    except SyntaxError:
        return False
    return True


class Mutations:
    """The changes of the nodes of a module."""

    def __init__(self, path: str, source: bytes) -> None:
        """Parse a module."""
        self._path = path
        self._source = source
        self._offsets = [0]
        for line in source.splitlines(keepends=True):
            self._offsets.append(self._offsets[-1] + len(line))

    def __iter__(self) -> Iterator[Mutant]:
        """Yield each change."""
        for node, place in _walk(ast.parse(self._source), Place()):
            lines = [_lines(node)]
            if place.statement and not isinstance(node, ast.stmt):
                lines.append(range(place.statement.lineno, place.statement.lineno + 1))
            for start, end, text in self._changes(node, place):
                yield Mutant(
                    path=self._path,
                    source=self._source,
                    start=start,
                    end=end,
                    text=text.encode(),
                    lines=tuple(lines),
                    around=_lines(place.function or place.statement or node),
                    constant=place.constant,
                    in_function=place.function is not None,
                )

    def _start(self, node: Node) -> int:
        """Return the offset of the first byte of a node."""
        return self._offsets[node.lineno - 1] + node.col_offset

    def _end(self, node: Node) -> int:
        """Return the offset behind the last byte of a node."""
        assert node.end_lineno is not None  # noqa: S101
        assert node.end_col_offset is not None  # noqa: S101
        return self._offsets[node.end_lineno - 1] + node.end_col_offset

    def _text(self, node: ast.expr) -> str:
        """Return the source of an expression, so that it can stand beside others."""
        text = self._source[self._start(node) : self._end(node)].decode()
        return f"({text})" if isinstance(node, _NEEDS_BRACKETS) else text

    def _changes(self, node: Node, place: Place) -> Iterator[tuple[int, int, str]]:
        """Yield the changes of a node itself, not of those within."""
        start, end = self._start(node), self._end(node)
        if place.is_condition and not isinstance(node, ast.Constant):
            yield start, end, "True"
            yield start, end, "False"
        for text in (
            *self._parts(node, place),
            *_other_values(node),
            *_other_statements(node, place),
        ):
            yield start, end, text
        yield from self._other_operators(node, place)
        match node:
            case ast.Call():
                yield from self._without_arguments(node)
            case ast.With(items=items) | ast.AsyncWith(items=items):
                if not any(item.optional_vars or _is_suppress(item.context_expr) for item in items):
                    yield start, self._end(items[-1].context_expr), "if True"

    def _other_operators(self, node: Node, place: Place) -> Iterator[tuple[int, int, str]]:
        """Yield the changes of the operators of a node."""
        match node:
            case ast.Compare():
                operands = pairwise([node.left, *node.comparators])
                for (left, right), operator in zip(operands, node.ops, strict=True):
                    # Elsewhere than at a boundary, True and False say more of a condition than its opposite.
                    if isinstance(operator, _BOUNDARIES) or not place.is_condition:
                        yield self._other_operator(left, operator, right)
            case ast.BinOp(left=left, op=operator, right=right) if type(operator) in _OPERATORS:
                yield self._other_operator(left, operator, right)

    def _parts(self, node: Node, place: Place) -> Iterator[str]:
        """Yield an expression without a part of it."""
        match node:
            case ast.BoolOp(values=values, op=operator):
                word = " and " if isinstance(operator, ast.And) else " or "
                for others in _all_but_one(values):
                    yield word.join(map(self._text, others))
            case ast.Compare(left=left, ops=[_, _, *_], comparators=[second, *_, before, last]) | (
                ast.Compare(left=left, ops=[_, _], comparators=[second as before, last])
            ):
                yield self._source[self._start(second) : self._end(last)].decode()
                yield self._source[self._start(left) : self._end(before)].decode()
            case ast.UnaryOp(op=ast.Not(), operand=operand) if not place.is_condition:
                yield self._text(operand)
            case ast.Call(func=ast.Name(id="min" | "max"), args=[_, _, *_] as values):
                yield from map(self._text, values)
            case ast.Tuple(elts=values) if isinstance(place.statement, ast.Try):
                for others in _all_but_one(values):
                    yield f"({', '.join(map(self._text, others))},)"

    def _other_operator(
        self, left: ast.expr, operator: ast.AST, right: ast.expr
    ) -> tuple[int, int, str]:
        """Return the change of an operator between two operands."""
        now, other = _OPERATORS[type(operator)]
        gap = self._source[self._end(left) : self._start(right)].decode()
        # There may be brackets, comments and line breaks around.
        text = re.sub(re.escape(now).replace(r"\ ", r"\s+"), other, gap, count=1)
        return self._end(left), self._start(right), text

    def _without_arguments(self, node: ast.Call) -> Iterator[tuple[int, int, str]]:
        """Yield the removals of arguments by keyword, and of exceptions to suppress."""
        arguments: list[ast.expr | ast.keyword] = [*node.args, *node.keywords]
        arguments.sort(key=self._start)
        for number, argument in enumerate(arguments):
            if (isinstance(argument, ast.keyword) and argument.arg) or _is_suppress(node):
                if number:
                    yield self._end(arguments[number - 1]), self._end(argument), ""
                elif len(arguments) > 1:
                    yield self._start(argument), self._start(arguments[1]), ""
                else:
                    yield self._start(argument), self._end(argument), ""


def _other_values(node: Node) -> Iterator[str]:
    """Yield another value for a number or a flag."""
    match node:
        case ast.Constant(value=bool() as value):
            yield str(not value)
        case ast.Constant(value=int() | float() as value):
            yield str(value + 1)


def _other_statements(node: Node, place: Place) -> Iterator[str]:
    """Yield what may stand in the place of a statement in a function."""
    match node:
        case ast.Return(value=ast.expr() as value) if not isinstance(value, ast.Constant):
            returns = getattr(place.function, "returns", None)
            is_bool = isinstance(returns, ast.Name) and returns.id == "bool"
            yield from ("return True", "return False") if is_bool else ("return None",)
        case ast.Expr(value=ast.Yield() | ast.YieldFrom()):
            pass
        case ast.Assign(targets=[ast.Name(id=name)]) if not _is_set_before(node, name, place):
            pass
        case (
            ast.Expr()
            | ast.Assign()
            | ast.AugAssign()
            | ast.Delete()
            | ast.Raise()
            | ast.Continue()
            | ast.Break()
        ) if place.function:
            yield "pass"


def _lines(node: Node) -> range:
    """Return the lines of a node."""
    return range(node.lineno, (node.end_lineno or node.lineno) + 1)


def _walk(node: ast.AST, place: Place) -> Iterator[tuple[Node, Place]]:
    """Yield the nodes that may change, with their places."""
    if _is_logging(node):
        return
    if isinstance(node, ast.expr | ast.stmt | ast.keyword):
        yield node, place
    if isinstance(node, ast.stmt):
        place = replace(place, statement=node)
    place = replace(place, is_condition=False)
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
        for default in (*node.args.defaults, *filter(None, node.args.kw_defaults)):
            yield from _walk(default, place)
        place = replace(place, function=place.function or node)
    elif isinstance(node, ast.AnnAssign | ast.Assign) and place.function is None:
        target = node.target if isinstance(node, ast.AnnAssign) else node.targets[0]
        place = replace(place, constant=place.constant or ast.unparse(target))
    conditions = _conditions(node)
    for child in _children(node):
        yield from _walk(child, replace(place, is_condition=child in conditions))


def _children(node: ast.AST) -> Iterable[ast.AST]:
    """Return the parts of a node that may change."""
    match node:
        case ast.FunctionDef(body=body) | ast.AsyncFunctionDef(body=body) | ast.ClassDef(body=body):
            return body[ast.get_docstring(node) is not None :]
        case ast.AnnAssign(value=value) | ast.Lambda(body=value):
            return [value] if value else []
        case ast.If(test=ast.Name(id="TYPE_CHECKING"), orelse=orelse):
            return orelse
        case ast.TypeAlias() | ast.Import() | ast.ImportFrom() | ast.JoinedStr():
            return []
    return ast.iter_child_nodes(node)


def _conditions(node: ast.AST) -> list[ast.expr]:
    """Return the parts of a node that decide what happens."""
    match node:
        case ast.If(test=test) | ast.IfExp(test=test):
            return [test]
        case ast.comprehension(ifs=ifs):
            return ifs
        case ast.match_case(guard=ast.expr() as guard):
            return [guard]
    return []


def _all_but_one[T](values: list[T]) -> Iterator[list[T]]:
    """Yield a list without its first value, without its second, and so on."""
    for number in range(len(values)):
        yield values[:number] + values[number + 1 :]


def _is_logging(node: ast.AST) -> bool:
    """Return whether a statement writes to the log."""
    match node:
        case ast.Expr(value=ast.Call(func=ast.Attribute(value=ast.Name(id=name)))):
            return name.strip("_").lower() == "logger"
    return False


def _is_suppress(node: ast.expr) -> bool:
    """Return whether an expression is a call of contextlib.suppress."""
    return isinstance(node, ast.Call) and ast.unparse(node.func).endswith("suppress")


def _is_set_before(node: ast.Assign, name: str, place: Place) -> bool:
    """Return whether a local variable has a value before an assignment."""
    if place.function is None:
        return False
    names = (each for each in ast.walk(place.function) if isinstance(each, ast.Name | ast.arg))
    return any(
        each.arg == name
        if isinstance(each, ast.arg)
        else each.id == name and isinstance(each.ctx, ast.Store) and each.lineno < node.lineno
        for each in names
    )
