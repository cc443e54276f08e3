"""Handouts and slides have everything that the exercises' files say, and load nothing from outside."""

from __future__ import annotations

import re
from html import unescape

import pytest

from exercises.course.course import Step
from exercises.course.manifest import Track
from exercises.paper.handouts import handouts
from exercises.paper.markup import diagrams, html, items
from exercises.paper.sheet import read_sheet
from exercises.paper.slides import slides
from exercises.tests.learner import in_this_process
from exercises.tests.test_sealing import REAL

TAG = re.compile(r"<[^>]+>")


def words(document: str) -> str:
    """The text of an HTML document, without marks and line breaks."""
    return " ".join(unescape(TAG.sub(" ", document)).split())


@pytest.mark.parametrize("step", REAL.steps, ids=lambda step: step.label)
def test_a_handout_has_the_goal_the_tasks_the_questions_and_what_to_keep(step: Step) -> None:
    sheet, page = read_sheet(step), words(handouts(REAL, [step]))
    assert len(sheet.tasks) == len(step.manifest.tasks)
    assert sheet.objectives
    assert sheet.questions
    assert sheet.key_points
    for part in (sheet.goal, *sheet.objectives, *sheet.questions, *sheet.key_points):
        assert words(part) in page
    assert all(f"exercises check --only {task}" in page for task in range(1, len(sheet.tasks) + 1))


@pytest.mark.parametrize("track", REAL.workshop.tracks, ids=lambda track: track.id)
def test_the_slides_of_a_track_have_its_exercises_in_order_with_the_teachers_notes(track: Track) -> None:
    document = slides(REAL, track)
    titles = re.findall(r'<p class="kicker">Exercise (\d\d)', document)
    steps = [step for step in REAL.steps if step.id in track.exercises]
    assert titles == [step.number for step in steps]
    page = words(document)
    for step in steps:
        sheet = read_sheet(step)
        assert words(sheet.notes["Misconceptions"]) in page
        assert words(sheet.notes["Timing"]) in page


@pytest.mark.parametrize("document", ["handouts", "slides"])
def test_paper_loads_nothing_and_has_no_links(document: str) -> None:
    text = handouts(REAL, REAL.steps) if document == "handouts" else slides(REAL, REAL.workshop.tracks[-1])
    assert not re.search(r"(?:src|href)=", text)
    assert "@import" not in text
    assert "url(" not in text


def test_a_page_for_each_exercise_is_written_where_the_teacher_says(tmp_path) -> None:
    file = tmp_path / "to print.html"
    status, out, _ = in_this_process(("handouts", "half-day", "--to", str(file)), {})
    assert status == 0, out
    assert file.read_text(encoding="utf-8").count('<article class="sheet"') == 3


@pytest.mark.parametrize("command", ["handouts", "slides"])
def test_an_unknown_track_is_refused_with_the_known_ones(command: str, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    status, _, error = in_this_process((command, "one-week"), {})
    assert status == 2
    assert "There is no track 'one-week'. There are half-day, one-day" in " ".join(error.split())
    assert list(tmp_path.iterdir()) == []


def test_markup_escapes_html_and_drops_links_and_diagrams() -> None:
    diagram = "flowchart LR\n a --> b\n"
    text = f"A <b>bold</b> [page](x.md).\n\n```mermaid\n{diagram}```\n\n1. one\n   more\n\n   Another.\n2. `two`\n"
    assert html(text).startswith("<p>A &lt;b&gt;bold&lt;/b&gt; page.</p>")
    assert "flowchart" not in html(text)
    assert diagrams(text) == [diagram]
    assert items(text) == ["one\nmore", "<code>two</code>"]
