"""Mutants of Python code, found in its syntax tree and made in its text, so that a mutant's diff is one line or few.

A change that leaves the program equal is not made: in a docstring, an annotation, a log line or a text for people, and
the removal of an assignment to a name that is bound nowhere else (each use of it would fail).
"""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import accumulate

from exercises.authoring.mutation.edits import Edit, Kind, is_sentence, other_number

LOGGING = {"debug", "info", "warning", "error", "exception", "critical", "log"}
SAME_WITHOUT = {None, "encoding"}
"""Arguments without which the program does the same: UTF-8 is the default wherever the course runs. None is **."""
OPERATORS: dict[type[ast.cmpop], tuple[str, tuple[str, ...]]] = {
    ast.Eq: ("==", ("!=",)),
    ast.NotEq: ("!=", ("==",)),
    ast.Lt: ("<", ("<=", ">=")),
    ast.LtE: ("<=", ("<", ">")),
    ast.Gt: (">", (">=", "<=")),
    ast.GtE: (">=", (">", "<")),
    ast.Is: (r"is\b", ("is not",)),
    ast.IsNot: (r"is\s+not\b", ("is",)),
    ast.In: (r"in\b", ("not in",)),
    ast.NotIn: (r"not\s+in\b", ("in",)),
}
Span = tuple[int, int]
Function = ast.FunctionDef | ast.AsyncFunctionDef


def edits(text: str, own: set[int]) -> Iterator[Edit]:
    """The mutants whose first line is in `own` (from 1), in the order of the file; the text must be Python."""
    finder = _Finder(text, own)
    finder.visit(ast.parse(text))
    yield from sorted(finder.found, key=lambda edit: edit.start)


class _Finder(ast.NodeVisitor):
    def __init__(self, text: str, own: set[int]) -> None:
        self.found: list[Edit] = []
        self._text = text
        self._own = own
        self._lines = text.splitlines(keepends=True)
        self._starts = [0, *accumulate(map(len, self._lines))]
        self._around: list[ast.AST] = []
        self._for_people = False

    # ---- statements

    def visit_Module(self, node: ast.Module) -> None:
        self._inside(node, node.body)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self._decorators(node)
        self._inside(node, node.body)

    def visit_FunctionDef(self, node: Function) -> None:
        self._decorators(node)
        for default in [*node.args.defaults, *filter(None, node.args.kw_defaults)]:
            self.visit(default)
        self._inside(node, node.body)

    visit_AsyncFunctionDef = visit_FunctionDef  # noqa: N815 -- the name that ast.NodeVisitor looks for

    def visit_Expr(self, node: ast.Expr) -> None:
        if not isinstance(node.value, ast.Constant) and not _is_for_people(node.value):
            self._add(Kind.STATEMENT, node, "pass")
            self.generic_visit(node)

    def visit_Assign(self, node: ast.Assign) -> None:
        if not any(isinstance(target, ast.Name) and target.id == "__all__" for target in node.targets):
            if not all(self._needed(target) for target in node.targets):
                self._add(Kind.STATEMENT, node, "pass")
            self.generic_visit(node)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        self._add(Kind.STATEMENT, node, "pass")
        self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        annotation = ast.unparse(node.annotation)
        if annotation.endswith("TypeAlias"):
            return
        if (node.value or annotation.startswith("Mapped[")) and not self._needed(node.target):
            self._add(Kind.STATEMENT, node, "pass")
        if node.value:
            self.visit(node.value)

    def visit_Return(self, node: ast.Return) -> None:
        if node.value is None:
            self._add(Kind.STATEMENT, node, "pass")
        elif not isinstance(node.value, ast.Constant):
            self._add(Kind.RETURN, node, "return None")
        if not _is_none(node.value):
            self.generic_visit(node)

    def visit_Raise(self, node: ast.Raise) -> None:
        self._add(Kind.STATEMENT, node, "pass")
        before, self._for_people = self._for_people, True
        self.generic_visit(node)
        self._for_people = before

    def visit_Assert(self, node: ast.Assert) -> None:
        self._add(Kind.STATEMENT, node, "pass")
        self.visit(node.test)

    def visit_Delete(self, node: ast.Delete | ast.Break | ast.Continue) -> None:
        self._add(Kind.STATEMENT, node, "pass")

    visit_Break = visit_Continue = visit_Delete  # noqa: N815

    def visit_If(self, node: ast.If) -> None:
        if "TYPE_CHECKING" not in ast.unparse(node.test):
            self._condition(node.test)
            self.generic_visit(node)

    def visit_While(self, node: ast.While) -> None:
        self._condition(node.test)
        self.generic_visit(node)

    def visit_For(self, node: ast.For | ast.AsyncFor) -> None:
        self._add(Kind.LOOP, node.iter, "()")
        self.generic_visit(node)

    visit_AsyncFor = visit_For  # noqa: N815

    def visit_With(self, node: ast.With) -> None:
        first, last = node.items[0], node.items[-1]
        if (
            all(item.optional_vars is None for item in node.items)
            and first.context_expr.lineno == node.lineno
        ):
            start, end = self._span(node)[0], self._span(last.context_expr)[1]
            self._add(Kind.STATEMENT, node, "if True", (start, end))
        self.generic_visit(node)

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> None:
        if isinstance(node.type, ast.Tuple) and len(node.type.elts) > 1:
            spans = [self._span(each) for each in node.type.elts]
            for index, each in enumerate(node.type.elts):
                if len(spans) == 2:
                    self._add(
                        Kind.HANDLER, each, self._source(node.type.elts[1 - index]), self._span(node.type)
                    )
                else:
                    self._add(Kind.HANDLER, each, "", self._without(spans, index))
        elif node.type:
            self._add(Kind.HANDLER, node.type, "()")
        for statement in node.body:
            self.visit(statement)

    def visit_Import(self, node: ast.Import | ast.ImportFrom) -> None:
        """Without an import each use of its name would fail."""

    visit_ImportFrom = visit_Import  # noqa: N815

    # ---- expressions

    def visit_IfExp(self, node: ast.IfExp) -> None:
        self._condition(node.test)
        self.generic_visit(node)

    def visit_comprehension(self, node: ast.comprehension) -> None:
        for test in node.ifs:
            self._condition(test)
        self.generic_visit(node)

    def visit_BoolOp(self, node: ast.BoolOp) -> None:
        old, new = ("and", "or") if isinstance(node.op, ast.And) else ("or", "and")
        gaps = zip(node.values, node.values[1:], strict=False)
        start, end = self._span(node)
        changed = self._text[start:end]
        for left, right in reversed(list(gaps)):
            gap = self._operator(left, right, rf"\b{old}\b")
            changed = changed[: gap[0] - start] + new + changed[gap[1] - start :]
        self._add(Kind.CONDITION, node, changed)
        self.generic_visit(node)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> None:
        if isinstance(node.op, ast.Not):
            start = self._span(node)[0]
            self._add(Kind.CONDITION, node, "", (start, start + len("not ")))
        self.generic_visit(node)

    def visit_Compare(self, node: ast.Compare) -> None:
        operands = [node.left, *node.comparators]
        for operator, left, right in zip(node.ops, operands, operands[1:], strict=False):
            pattern, others = OPERATORS[type(operator)]
            for other in others:
                self._add(Kind.CONDITION, left, other, self._operator(left, right, pattern))
        for operand in operands:
            if not _is_none(operand):
                self.visit(operand)

    def visit_Call(self, node: ast.Call) -> None:
        arguments: list[ast.expr | ast.keyword] = [*node.args, *node.keywords]
        spans = [self._span(each) for each in arguments]
        for index, each in enumerate(arguments):
            last = index == len(node.args) - 1 > 0 and not isinstance(each, ast.Starred)
            named = isinstance(each, ast.keyword) and each.arg not in SAME_WITHOUT
            if (last or named) and not self._for_people:
                self._add(Kind.ARGUMENT, each, "", self._without(spans, index))
        if not _is_for_people(node):
            self.generic_visit(node)

    def visit_Dict(self, node: ast.Dict) -> None:
        if None not in node.keys:
            keys = [key for key in node.keys if key]
            spans = [
                (self._span(key)[0], self._span(value)[1])
                for key, value in zip(keys, node.values, strict=True)
            ]
            for index, key in enumerate(keys):
                self._add(Kind.KEY, key, "", self._without(spans, index))
        for value in node.values:
            self.visit(value)

    def visit_Tuple(self, node: ast.Tuple | ast.List) -> None:
        spans = [self._span(each) for each in node.elts]
        for index, each in enumerate(node.elts):
            if (
                isinstance(each, ast.Call) and len(spans) == 2
            ):  # the one that stays needs a comma to stay a tuple
                comma = "" if re.match(r"\s*,", self._text[spans[1][1] :]) else ","
                other = self._source(node.elts[1 - index])
                self._add(Kind.ARGUMENT, each, other + comma, (spans[0][0], spans[1][1]))
            elif isinstance(each, ast.Call) and len(spans) > 2:
                self._add(Kind.ARGUMENT, each, "", self._without(spans, index))
        self.generic_visit(node)

    visit_List = visit_Tuple  # noqa: N815

    def visit_Constant(self, node: ast.Constant) -> None:
        value = node.value
        if isinstance(value, bool) or value is None:
            self._add(Kind.CONSTANT, node, repr(not value))
        elif isinstance(value, int | float):
            self._add(Kind.CONSTANT, node, repr(other_number(value)))
        elif isinstance(value, bytes):
            self._add(Kind.CONSTANT, node, repr(value + b"x"))
        elif isinstance(value, str) and not self._for_people and not is_sentence(value):
            self._add(Kind.CONSTANT, node, repr(f"{value}x").replace("'", '"'))

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        """Only as a whole: before Python 3.12, the positions inside are not known."""
        if not self._for_people:
            self._add(Kind.CONSTANT, node, '""')

    # ---- helpers

    def _inside(self, node: ast.AST, body: Sequence[ast.stmt]) -> None:
        self._around.append(node)
        for statement in body:
            self.visit(statement)
        self._around.pop()

    def _decorators(self, node: ast.ClassDef | Function) -> None:
        for each in node.decorator_list:
            whole_lines = (self._starts[each.lineno - 1], self._starts[each.end_lineno or each.lineno])
            self._add(Kind.DECORATOR, each, "", whole_lines)
            if "dataclass" not in ast.unparse(each):  # its options hardly ever change what a program does
                self.visit(each)

    def _condition(self, test: ast.expr) -> None:
        """Turn a condition that has no operator of its own."""
        if isinstance(test, ast.BoolOp):
            for value in test.values:
                self._condition(value)
        elif not isinstance(test, ast.Compare | ast.Constant) and not _is_not(test):
            self._add(Kind.CONDITION, test, f"not ({self._source(test)})")

    def _needed(self, target: ast.expr) -> bool:
        """Whether a name is bound only here, so that without the assignment each use of it would fail."""
        scope = self._around[-1]
        if isinstance(target, ast.Tuple):
            return all(self._needed(each) for each in target.elts)
        if not isinstance(target, ast.Name) or isinstance(scope, ast.ClassDef):
            return False
        nodes = list(ast.walk(scope))
        uses = Counter(
            type(each.ctx) for each in nodes if isinstance(each, ast.Name) and each.id == target.id
        )
        bound = uses[ast.Store] + sum(isinstance(each, ast.arg) and each.arg == target.id for each in nodes)
        return bound == 1 and (uses[ast.Load] > 0 or not isinstance(scope, ast.Module))

    def _add(
        self, kind: Kind, node: ast.expr | ast.stmt | ast.keyword, new: str, span: Span | None = None
    ) -> None:
        if node.lineno in self._own:
            start, end = span or self._span(node)
            self.found.append(Edit(kind, start, end, new, ".".join(_names(self._around))))

    def _span(self, node: ast.expr | ast.stmt | ast.keyword) -> Span:
        """Where the node is in the text, in characters; ast counts bytes."""
        return (
            self._offset(node.lineno, node.col_offset),
            self._offset(node.end_lineno or node.lineno, node.end_col_offset or 0),
        )

    def _offset(self, line: int, byte: int) -> int:
        return self._starts[line - 1] + len(self._lines[line - 1].encode()[:byte].decode())

    def _source(self, node: ast.expr) -> str:
        start, end = self._span(node)
        return self._text[start:end]

    def _operator(self, left: ast.expr, right: ast.expr, pattern: str) -> Span:
        """Where the operator between two operands is."""
        start, end = self._span(left)[1], self._span(right)[0]
        found = re.search(pattern, self._text[start:end])
        if found is None:
            raise ValueError(f"no {pattern} in {self._text[start:end]!r}")
        return start + found.start(), start + found.end()

    def _without(self, spans: Sequence[Span], index: int) -> Span:
        """What to remove so that one of several parts with commas between them is left out."""
        start, end = spans[index]
        if index + 1 < len(spans):
            return start, spans[index + 1][0]
        if index:
            return spans[index - 1][1], end
        comma = re.match(r"\s*,", self._text[end:])
        return start, end + (comma.end() if comma else 0)


def _names(around: Sequence[ast.AST]) -> Iterator[str]:
    for node in around:
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name


def _is_for_people(node: ast.expr) -> bool:
    """Whether it writes a line into a log or on a terminal."""
    if not isinstance(node, ast.Call):
        return False
    if isinstance(node.func, ast.Attribute):
        return node.func.attr in LOGGING and "log" in ast.unparse(node.func.value).lower()
    return isinstance(node.func, ast.Name) and node.func.id == "print"


def _is_not(node: ast.expr) -> bool:
    return isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not)


def _is_none(node: ast.expr | None) -> bool:
    return isinstance(node, ast.Constant) and node.value is None
