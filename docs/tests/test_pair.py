"""The pair: how much the two shops differ, and the tool that shows it."""

from __future__ import annotations

import io
import re
from html.parser import HTMLParser

import pytest
from click.testing import CliRunner
from rich.console import Console

from docs.pair.__main__ import main
from docs.pair.page import page
from docs.pair.pairs import MODULES, UnknownModule, compare
from docs.pair.terminal import show, show_totals

AT_MOST = {
    "accounts": 10,
    "catalog": 12,
}
"""Changed lines, as docs.pair.pairs.CHANGED_LINE defines them. More lines need a reason, or must go."""
MONOLITH = """\
\"\"\"Tills.\"\"\"

from .tables import Till


def open(db, number):
    till = db.get(Till, number)
    till.open = True
    db.commit()
    return till


def one():
    return 1


def two():
    return 2


def close(db, number):
    db.get(Till, number).open = False
"""
SPLIT = (
    MONOLITH.replace("    db.commit()\n", "").replace("Tills", "Some tills")
    + "\n\ndef count(db):\n    return 2\n"
)


@pytest.fixture
def shops(tmp_path):
    for side, text in (("monolith", MONOLITH), ("microservices", SPLIT)):
        for place in ("till/service.py", "till/tests/test_till.py", "till/__pycache__/service.pyc"):
            file = tmp_path / side / place
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
    (tmp_path / "monolith/till/drawer.py").touch()
    (tmp_path / "microservices/till/clients.py").touch()
    return tmp_path


def written(render, what, width):
    console = Console(file=io.StringIO(), width=width)
    render(what, console)
    return console.file.getvalue()


@pytest.mark.parametrize("module", AT_MOST)
def test_modules_without_a_reason_to_differ_hardly_differ(module):
    pair = compare(module)
    assert pair.changed <= AT_MOST[module], {file.name: file.changed for file in pair.files if file.changed}


def test_a_replaced_line_counts_once_and_blank_lines_not_at_all(shops):
    (service,) = compare("till", shops).files
    assert service.changed == 1 + 1 + 2  # the docstring, the commit, and the two lines of count()


def test_equal_files_have_no_changed_lines(shops):
    (shops / "microservices/till/service.py").write_text(MONOLITH)
    assert compare("till", shops).changed == 0


def test_files_of_one_side_are_named_and_not_counted(shops):
    pair = compare("till", shops)
    assert (pair.only_monolith, pair.only_split) == (("drawer.py",), ("clients.py",))


def test_tests_and_caches_are_left_out(shops):
    assert [file.name for file in compare("till", shops).files] == ["service.py"]


def test_the_stretches_of_a_file_are_the_whole_file(shops):
    (service,) = compare("till", shops).files
    blocks = [block for stretch in service.stretches for block in stretch.blocks]
    assert tuple(line for block in blocks for line in block.left) == service.left
    assert tuple(line for block in blocks for line in block.right) == service.right
    assert [stretch.is_change for stretch in service.stretches] == [True, False, True, False, True]


@pytest.mark.parametrize("name", ["till", "..", "orders/tests", ""])
def test_a_module_that_is_not_in_both_shops_is_refused_with_a_list_of_those_that_are(name):
    with pytest.raises(UnknownModule, match="choose one of accounts, catalog"):
        compare(name)


@pytest.mark.parametrize("width", [80, 200])
def test_a_terminal_of_any_width_shows_every_change(shops, width):
    text = written(show, compare("till", shops), width)
    assert max(map(len, text.splitlines())) <= width
    assert re.search(r"all +│ 4", text)
    assert "Only in the monolith: drawer.py." in text
    for line in ('"""Some tills."""', "db.commit()", "def count(db):"):
        assert line in text


def test_a_narrow_terminal_shows_the_side_of_a_line_by_a_sign(shops):
    text = written(show, compare("till", shops), 80)
    assert "-     db.commit()\n" in text
    assert "+ def count(db):\n" in text


@pytest.mark.parametrize("width", [80, 200])
def test_without_a_module_the_totals_of_all_eight_are_shown(width):
    text = written(show_totals, [compare(name) for name in MODULES], width)
    assert all(re.search(rf"│ {name} ", text) for name in MODULES)
    assert max(map(len, text.splitlines())) <= width


class Parsed(HTMLParser):
    """A parser that fails on tags that are not closed or not nested, and on assets from another place."""

    VOID = frozenset({"meta", "link", "col", "br"})

    def __init__(self, text):
        super().__init__()
        self.open, self.ids, self.fragments = [], set(), set()
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        if tag not in self.VOID:
            self.open.append(tag)
        for name, value in attributes:
            if name == "id":
                assert value not in self.ids
                self.ids.add(value)
            if name in {"href", "src"}:
                assert value.startswith(("#", "data:")), value
                self.fragments |= {value[1:]} if value.startswith("#") else set()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.mark.parametrize("modules", [["orders"], ["storefront"], MODULES])
def test_the_page_is_complete_and_loads_nothing(modules):
    text = page([compare(name) for name in modules])
    parsed = Parsed(text)
    assert parsed.fragments <= parsed.ids
    assert not re.search(r"@import|url\(|fetch\(", text)
    assert "prefers-color-scheme: dark" in text


def test_the_page_marks_a_change_by_a_sign_and_a_word_too(shops):
    text = page([compare("till", shops)])
    assert text.count('<span class="hidden">changed</span>') == 1
    assert text.count('<span class="hidden">only in the monolith</span>') == 1
    assert text.count('<span class="hidden">only in the split</span>') == 4  # two of them are blank
    assert "<mark>Some" in text


def test_the_page_shows_code_as_it_is_written(shops):
    (shops / "microservices/till/service.py").write_text("if a < b and c > d:\n    print('<b>&amp;</b>')\n")
    text = page([compare("till", shops)])
    assert "if a &lt; b and c &gt; d:" in text
    assert "&lt;b&gt;&amp;amp;&lt;/b&gt;" in text


def test_the_command_writes_a_page(tmp_path):
    result = CliRunner().invoke(main, ["catalog", "--html", str(tmp_path / "catalog.html")])
    assert result.exit_code == 0, result.output
    assert "catalog, built twice" in (tmp_path / "catalog.html").read_text()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [(["tills"], "choose one of accounts"), (["cart", "--html", "/nowhere/cart.html"], "give another file")],
)
def test_a_mistake_is_answered_in_one_sentence(arguments, words):
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 1
    assert words in result.output
    assert result.output.count("\n") == 1
