"""Mutants of Python expressions."""

from __future__ import annotations

import ast
import json

from exercises.authoring.mutation.edits import Edit, Kind, is_sentence, other_number
from exercises.authoring.mutation.places import Node, Places, Span

LOGGING = {"debug", "info", "warning", "error", "exception", "critical", "log"}
SAME_WITHOUT = {None, "encoding"}
"""Arguments without which the program does the same: UTF-8 is the default wherever the course runs. None is **."""
SAME_WITH_ANY = {"expanding"}
"""Arguments whose value makes no difference: SQLAlchemy's in_() expands every parameter that it is given."""
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
Scope = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


class ExpressionFinder(ast.NodeVisitor):
    """Collects the mutants of the expressions that it visits."""

    def __init__(self, text: str, own: set[int]) -> None:
        self.found: list[Edit] = []
        self._own = own
        self._places = Places(text)
        self._around: list[Scope] = []
        self._for_people = False
        """Whether the strings are texts for people, as in an exception."""

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
        start, changed = self._places.span(node)[0], self._places.source(node)
        for left, right in reversed(list(gaps)):
            gap = self._places.operator(left, right, rf"\b{old}\b")
            changed = changed[: gap[0] - start] + new + changed[gap[1] - start :]
        self._add(Kind.CONDITION, node, changed)
        self.generic_visit(node)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> None:
        if isinstance(node.op, ast.Not):
            start = self._places.span(node)[0]
            self._add(Kind.CONDITION, node, "", (start, start + len("not ")))
        self.generic_visit(node)

    def visit_Compare(self, node: ast.Compare) -> None:
        operands = [node.left, *node.comparators]
        for operator, left, right in zip(node.ops, operands, operands[1:], strict=False):
            pattern, others = OPERATORS[type(operator)]
            for other in others:
                self._add(Kind.CONDITION, left, other, self._places.operator(left, right, pattern))
        for operand in operands:
            if not is_none(operand):
                self.visit(operand)

    def visit_Call(self, node: ast.Call) -> None:
        arguments: list[ast.expr | ast.keyword] = [*node.args, *node.keywords]
        spans = [self._places.span(each) for each in arguments]
        for index, each in enumerate(arguments):
            last = index == len(node.args) - 1 > 0 and not isinstance(each, ast.Starred)
            named = isinstance(each, ast.keyword) and each.arg not in SAME_WITHOUT | SAME_WITH_ANY
            if (last or named) and not self._for_people:
                self._add(Kind.ARGUMENT, each, "", self._places.without(spans, index))
        if not is_for_people(node):
            self.visit(node.func)
            for each in arguments:
                if not _is_label(node, each):
                    self.visit(each)

    def visit_keyword(self, node: ast.keyword) -> None:
        if node.arg not in SAME_WITH_ANY:
            self.generic_visit(node)

    def visit_Dict(self, node: ast.Dict) -> None:
        if None not in node.keys:
            keys = [key for key in node.keys if key]
            spans = [
                (self._places.span(key)[0], self._places.span(value)[1])
                for key, value in zip(keys, node.values, strict=True)
            ]
            for index, key in enumerate(keys):
                self._add(Kind.KEY, key, "", self._places.without(spans, index))
        for value in node.values:
            self.visit(value)

    def visit_Tuple(self, node: ast.Tuple | ast.List) -> None:
        spans = [self._places.span(each) for each in node.elts]
        for index, each in enumerate(node.elts):
            if not isinstance(each, ast.Call) or len(spans) == 1:
                continue
            if len(spans) == 2:  # the one that stays needs a comma, or it would be no tuple
                comma = "" if self._places.comma_follows(spans[1][1]) else ","
                other = self._places.source(node.elts[1 - index])
                self._add(Kind.ARGUMENT, each, other + comma, (spans[0][0], spans[1][1]))
            else:
                self._add(Kind.ARGUMENT, each, "", self._places.without(spans, index))
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
            self._add(Kind.CONSTANT, node, json.dumps(f"{value}x", ensure_ascii=False))

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        """Only as a whole: before Python 3.12, the positions inside are not known."""
        if not self._for_people:
            self._add(Kind.CONSTANT, node, '""')

    def _condition(self, test: ast.expr) -> None:
        """Turn a condition that has no operator of its own."""
        if isinstance(test, ast.BoolOp):
            for value in test.values:
                self._condition(value)
        elif not isinstance(test, ast.Compare | ast.Constant) and not _is_not(test):
            self._add(Kind.CONDITION, test, f"not ({self._places.source(test)})")

    def _add(self, kind: Kind, node: Node, new: str, span: Span | None = None) -> None:
        """Remember a mutant, if the node begins in one of the learner's lines."""
        if node.lineno in self._own:
            start, end = span or self._places.span(node)
            names = [node.name for node in self._around if not isinstance(node, ast.Module)]
            self.found.append(Edit(kind, start, end, new, ".".join(names)))


def is_for_people(node: ast.expr) -> bool:
    """Whether it writes a line into a log or on a terminal."""
    if not isinstance(node, ast.Call):
        return False
    if isinstance(node.func, ast.Attribute):
        return node.func.attr in LOGGING and "log" in ast.unparse(node.func.value).lower()
    return isinstance(node.func, ast.Name) and node.func.id == "print"


def _is_label(call: ast.Call, argument: ast.expr | ast.keyword) -> bool:
    """Whether it is the `name` of a request of Locust's client: the words for people in its table."""
    return (
        isinstance(argument, ast.keyword)
        and argument.arg == "name"
        and isinstance(call.func, ast.Attribute)
        and ast.unparse(call.func.value).endswith(".client")
    )


def is_none(node: ast.expr | None) -> bool:
    """Whether it is the constant None."""
    return isinstance(node, ast.Constant) and node.value is None


def _is_not(node: ast.expr) -> bool:
    return isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not)
