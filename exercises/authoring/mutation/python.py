"""Mutants of Python code, found in its syntax tree and made in its text, so that a mutant's diff is one line or few.

A change that leaves the program equal is not made: in a docstring, an annotation, a log line or a text for people, and
the removal of an assignment to a name that is bound nowhere else (each use of it would fail).
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator, Sequence

from exercises.authoring.mutation.edits import Edit, Kind
from exercises.authoring.mutation.expressions import ExpressionFinder, Scope, is_for_people, is_none

Function = ast.FunctionDef | ast.AsyncFunctionDef


def edits(text: str, own: set[int]) -> Iterator[Edit]:
    """The mutants whose first line is in `own` (from 1), in the order of the file; the text must be Python."""
    finder = _Finder(text, own)
    finder.visit(ast.parse(text))
    yield from sorted(finder.found, key=lambda edit: edit.start)


class _Finder(ExpressionFinder, ast.NodeVisitor):
    """Collects the mutants of the statements, too."""

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
        if not isinstance(node.value, ast.Constant) and not is_for_people(node.value):
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
        if not is_none(node.value):
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
        if all(item.optional_vars is None for item in node.items):
            start, end = self._places.span(node)[0], self._places.span(node.items[-1].context_expr)[1]
            self._add(Kind.STATEMENT, node, "if True", (start, end))
        self.generic_visit(node)

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> None:
        caught = node.type.elts if isinstance(node.type, ast.Tuple) else []
        if node.type and len(caught) == 2:
            for each, other in (caught, caught[::-1]):
                self._add(Kind.HANDLER, each, self._places.source(other), self._places.span(node.type))
        elif len(caught) > 2:
            spans = [self._places.span(each) for each in caught]
            for index, each in enumerate(caught):
                self._add(Kind.HANDLER, each, "", self._places.without(spans, index))
        elif node.type:
            self._add(Kind.HANDLER, node.type, "()")
        for statement in node.body:
            self.visit(statement)

    def visit_Import(self, node: ast.Import | ast.ImportFrom) -> None:
        """Without an import each use of its name would fail."""

    visit_ImportFrom = visit_Import  # noqa: N815

    def _inside(self, node: Scope, body: Sequence[ast.stmt]) -> None:
        self._around.append(node)
        for statement in body:
            self.visit(statement)
        self._around.pop()

    def _decorators(self, node: ast.ClassDef | Function) -> None:
        for each in node.decorator_list:
            self._add(Kind.DECORATOR, each, "", self._places.whole_lines(each))
            if "dataclass" not in ast.unparse(each):  # its options hardly ever change what a program does
                self.visit(each)

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
