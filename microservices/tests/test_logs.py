from __future__ import annotations

import pytest

from microservices.launcher.logs import LogTail, Prefix


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "catalog-1.log").write_text("one\ntwo\n")
    (tmp_path / "catalog-2.log").write_text("three\n")
    (tmp_path / "gateway.log").write_text("four\n")
    return tmp_path


def test_each_line_comes_with_its_process(folder):
    assert list(LogTail(folder).lines()) == [
        ("catalog-1", "one"),
        ("catalog-1", "two"),
        ("catalog-2", "three"),
        ("gateway", "four"),
    ]


def test_a_line_is_shown_once_and_only_when_it_is_complete(folder):
    tail = LogTail(folder, ("gateway",))
    assert list(tail.lines()) == [("gateway", "four")]
    with (folder / "gateway.log").open("a") as log:
        log.write("fi")
        log.flush()
        assert list(tail.lines()) == []
        log.write("ve\n\nsix\n")
    assert [line for _, line in tail.lines()] == ["five", "", "six"]


def test_the_log_of_a_new_run_is_read_from_its_beginning(folder):
    tail = LogTail(folder, ("catalog-1",))
    list(tail.lines())
    (folder / "catalog-1.log").write_text("new\n")
    assert list(tail.lines()) == [("catalog-1", "new")]


@pytest.mark.parametrize(("name", "lines"), [("catalog", 3), ("catalog-2", 1), ("gateway", 1), ("cart", 0)])
def test_a_name_chooses_a_service_or_a_replica(folder, name, lines):
    assert len(list(LogTail(folder, (name,)).lines())) == lines


def test_only_the_last_lines_are_shown_when_asked(folder):
    tail = LogTail(folder)
    tail.skip_to_last(1)
    assert [line for _, line in tail.lines()] == ["two", "three", "four"]


def test_prefixes_have_one_width_and_a_colour_for_each_service():
    assert Prefix(11, colour=False)("cart-1", "text") == "cart-1      | text"
    prefix = Prefix(11, colour=True)
    colours = [prefix(label, "").partition("m")[0] for label in ("cart-1", "cart-2", "gateway", "orders-1")]
    assert colours[0] == colours[1]
    assert len(set(colours)) == 3
