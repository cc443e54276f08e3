"""Texts as HTML, differences as rows, and the progress of a check as a file."""

from __future__ import annotations

import os
from pathlib import Path

import psutil
import pytest

from exercises.course.sentences import sentences
from exercises.page.diffs import MAX_ROWS, FileDiff, file_diffs
from exercises.page.texts import render
from exercises.tests.test_sealing import REAL
from exercises.workspaces import progress
from exercises.workspaces.differences import Comparison
from exercises.workspaces.progress import Recorder


class TestTexts:
    def test_html_in_a_text_is_shown_as_text(self):
        shown = render("a <img src=x onerror=alert(1)>\n\n<script>x</script>\n\n[x](javascript:alert(1))")
        assert "<img" not in shown
        assert "<script" not in shown
        assert 'href="javascript' not in shown

    def test_code_has_colours_by_class_and_a_button_to_copy(self):
        shown = render("```python\ndef shop():\n    return 1\n```")
        assert '<span class="k-k">def</span>' in shown
        assert "data-copy" in shown
        assert "style=" not in shown

    def test_a_language_that_is_not_known_is_shown_without_colours(self):
        assert "&lt;x&gt;" in render("```caddyfile\n<x>\n```")

    def test_another_site_opens_beside_the_page_and_learns_nothing(self):
        shown = render("[Caddy](https://caddyserver.com)")
        assert 'rel="noreferrer noopener"' in shown
        assert 'target="_blank"' in shown

    def test_a_file_of_the_repository_is_no_link_here(self):
        assert "href" not in render("[api](../../docs/api.md)")

    def test_a_comment_of_the_author_is_not_shown(self):
        assert "secret" not in render("<!-- secret -->\nopen")

    @pytest.mark.parametrize("step", REAL.steps, ids=[step.label for step in REAL.steps])
    def test_the_sentences_of_the_checks_are_read_without_running_them(self, step):
        named = {check_id for task in step.manifest.tasks for check_id in task.checks}
        found = sentences(step.file("check.py"))
        assert set(found) == named
        assert all(found.values())


def diff(old: bytes | None, new: bytes | None) -> FileDiff:
    (found,) = file_diffs(Comparison(frozenset({"a.py"}), lambda _: old, lambda _: new))
    return found


class TestRows:
    def test_a_row_has_the_lines_of_both_sides(self):
        found = diff(b"one\ntwo\nthree\n", b"one\n2\nthree\n")
        assert [(row.sign, row.old, row.new) for row in found.rows] == [
            (" ", 1, 1),
            ("-", 2, None),
            ("+", None, 2),
            (" ", 3, 3),
        ]
        assert (found.what, found.added, found.removed) == ("changed", 1, 1)

    def test_lines_far_from_a_change_are_left_out(self):
        lines = [f"x = {n}" for n in range(50)]
        changed = ["first", *lines[1:-1], "last"]
        found = diff("\n".join(lines).encode(), "\n".join(changed).encode())
        assert [row.sign for row in found.rows].count("") == 1
        assert len(found.rows) < 15

    def test_a_mark_of_several_lines_is_closed_on_each(self):
        found = diff(None, b'"""one\ntwo\nthree"""\n')
        assert all(str(row.code).count("<span") == str(row.code).count("</span>") for row in found.rows)
        assert (found.what, found.added) == ("new", 3)

    @pytest.mark.parametrize("new", [b"a\x0cb\n", "a\u2028b\n".encode(), b"a\r\nb\r\n", b"\xff\xfe\n", b""])
    def test_odd_ends_of_lines_and_broken_text_are_shown(self, new):
        diff(b"x\n", new)

    @pytest.mark.parametrize("new", [b"\0", b"x\n" * 300_000, b"x\n" * (MAX_ROWS + 1)])
    def test_what_is_no_text_or_too_long_is_only_named(self, new):
        found = diff(b"", new)
        assert found.rows == ()
        assert found.note


class TestProgress:
    def test_it_is_read_while_it_is_written(self, tmp_path: Path):
        recorder = Recorder(tmp_path, "hello", ("greet",), 2)
        recorder.starting("First.")
        found = progress.read(tmp_path)
        assert found is not None
        assert (found.exercise, found.only, found.total, found.current) == ("hello", ("greet",), 2, "First.")
        assert found.running
        recorder.outcome({"check": "first", "result": "pass"})
        with (tmp_path / progress.FILE).open("a") as stream:
            stream.write('{"event": "che')
        found = progress.read(tmp_path)
        assert found is not None
        assert [each["check"] for each in found.checks] == ["first"]
        assert found.current == ""

    def test_after_the_end_nothing_runs(self, tmp_path: Path):
        recorder = Recorder(tmp_path, "hello", (), 1)
        recorder.end("pass")
        found = progress.read(tmp_path)
        assert found is not None
        assert not found.running
        assert found.result == "pass"

    def test_a_run_whose_process_is_gone_does_not_run(self, tmp_path: Path, monkeypatch):
        created = psutil.Process.create_time
        monkeypatch.setattr(psutil.Process, "create_time", lambda process: created(process) - 100)
        Recorder(tmp_path, "hello", (), 1)
        monkeypatch.undo()
        found = progress.read(tmp_path)
        assert found is not None
        assert found.pid == os.getpid()
        assert not found.running

    def test_without_a_run_or_with_a_broken_file_there_is_none(self, tmp_path: Path):
        assert progress.read(tmp_path) is None
        (tmp_path / progress.FILE).write_text("[]\nno json\n")
        assert progress.read(tmp_path) is None
