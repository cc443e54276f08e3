"""What a teacher shows and sees in a real browser: both reference shops under a spike, and the room of a class."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from exercises.errors import ExerciseError
from exercises.page.room.membership import Membership, join
from exercises.page.room.news import MAX_NICK, News
from exercises.tests import browsing
from exercises.tests.browsing import (
    DESKTOP,
    NO_BROWSER,
    PHONE,
    assert_everybody_can_use,
    opened,
    served,
    served_page,
)
from exercises.workspaces.workspace import Workspace

pytestmark = [
    pytest.mark.course,
    pytest.mark.processes,
    pytest.mark.browser,
    pytest.mark.skipif(browsing.chromium() is None, reason=NO_BROWSER),
]
OPEN_MS = 300_000
NOTICED_MS = 60_000
LEARNERS = 30
EVIL = "<img src=x onerror=alert()>"[:MAX_NICK]
expect.set_options(timeout=15_000)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with browsing.browser() as found:
        yield found


def press(page: Page, name: str) -> None:
    """By keyboard: go to the button and press Enter."""
    page.get_by_role("button", name=name, exact=True).focus()
    page.keyboard.press("Enter")


def test_a_spike_and_broken_parts_are_seen_on_both_shops(browser: Browser, tmp_path: Path) -> None:
    with (
        served("show", "--traces", settings={}, folder=tmp_path) as says,
        opened(browser, next(says).split()[-1]) as page,
    ):
        expect(page.locator("#panel-load")).to_contain_text("Both shops are being opened")
        expect(page.locator("#start-load")).to_be_visible(timeout=OPEN_MS)
        page.get_by_label("Seconds").fill("300")
        press(page, "Send visitors to both")
        for cell in ("[data-persona=buyer][data-second]", "[data-persona=buyer]:not([data-second])"):
            expect(page.locator(cell)).to_have_text(re.compile(r"\d ms"), timeout=NOTICED_MS)
        expect(page.locator("#chart-rate output")).to_contain_text("monolith:")

        press(page, "One replica of recommendations more")
        expect(page.locator("#panel-microservices")).to_contain_text("recommendations-2", timeout=NOTICED_MS)
        press(page, "Pause orders-1")
        failing = page.locator("[data-persona=buyer]:not([data-second])")
        expect(failing).to_contain_text("failed", timeout=NOTICED_MS)
        press(page, "Resume orders-1")
        expect(page.locator("#notice")).to_contain_text("goes on", timeout=NOTICED_MS)
        press(page, "Kill monolith-1")
        expect(page.locator("#notice")).to_contain_text("the launcher starts it again")
        press(page, "Stop")
        expect(page.locator("#start-load")).to_be_visible(timeout=NOTICED_MS)
        assert_everybody_can_use(page, DESKTOP)
        assert_everybody_can_use(page, PHONE)

        with page.expect_popup() as popup:
            page.get_by_role("link", name="Follow one request").click()
        traces = popup.value
        expect(traces.get_by_role("link", name="Both: POST /api/orders")).to_be_visible()
        assert_everybody_can_use(traces, DESKTOP)
        assert_everybody_can_use(traces, PHONE)
        traces.get_by_role("link", name="Both: POST /api/orders").click()
        expect(traces.get_by_role("table", name="Waterfall").first).to_contain_text("monolith")
        expect(traces.get_by_role("table", name="Waterfall").nth(1)).to_contain_text("orders")


def test_a_room_of_thirty_learners(
    browser: Browser, tmp_path: Path, course_folder: Path, workspace: Workspace, free_port: int
) -> None:
    settings, options = {"EXERCISES_COURSE": str(course_folder)}, ("--port", str(free_port))
    with served("teach", *options, settings=settings, folder=tmp_path) as says:
        url, joining = next(says).split()[-1], next(says)
        address, code = joining.split("--join ")[1].split()[0], joining.split("--code ")[1].split()[0]
        with pytest.raises(ExerciseError, match="not the code of the room"):
            join(address, "AAAA-AAAA", "Mallory")
        learner = served_page(
            workspace.root, course_folder, "--join", address, "--code", code, "--name", EVIL
        )
        with learner as own, opened(browser, url) as teacher, opened(browser, own) as page:
            memberships = tell_all(address, code)
            expect(teacher.locator(".people tbody tr")).to_have_count(LEARNERS)
            expect(teacher.locator("#panel-people img")).to_have_count(0)
            expect(teacher.locator("#panel-people")).not_to_contain_text("Mallory")
            expect(teacher.locator(".obstacles")).to_contain_text("greets")
            assert type_in(workspace, "room", "stuck") == 0
            expect(page.get_by_role("button", name="I am stuck")).to_have_attribute("aria-pressed", "true")
            first = teacher.locator(".people tbody tr").first
            expect(first).to_contain_text(EVIL)
            expect(first).to_contain_text("stuck")
            expect(teacher.locator("#announce")).to_contain_text("stuck.")
            press(page, "I am stuck")
            expect(teacher.locator("[data-feeling]")).to_have_count(0)
            press(page, "I am done")
            expect(teacher.locator("[data-feeling=done]")).to_contain_text(EVIL)
            assert_everybody_can_use(page, DESKTOP)
            assert_everybody_can_use(teacher, DESKTOP)
            assert_everybody_can_use(teacher, PHONE)

            memberships[0].leave()
            press(teacher, f"Forget {memberships[1].nick}")
            expect(teacher.locator(".people tbody tr")).to_have_count(LEARNERS - 2)
            press(page, "Leave and be forgotten")
            expect(teacher.locator("#panel-people")).not_to_contain_text(EVIL)


def type_in(workspace: Workspace, *words: str) -> int:
    """A command in a terminal, in a process of its own; returns its exit status."""
    settings = {"EXERCISES_WORKSPACE": str(workspace.root), "EXERCISES_COURSE": str(workspace.course.folder)}
    command = [sys.executable, "-m", "exercises", *words]
    return subprocess.run(
        command, env={**os.environ, **settings}, capture_output=True, check=False
    ).returncode


def tell_all(address: str, code: str) -> list[Membership]:
    """All learners but one come in at once, and each tells of a task that fails."""
    news = News(step="01-hello", task="greet", tasks=2, passed=0, result="not yet", failing=("greets",))

    def come(number: int) -> Membership:
        membership = join(address, code, f"Learner {number:02}")
        assert membership.tell(news)
        return membership

    with ThreadPoolExecutor(8) as class_:
        return list(class_.map(come, range(1, LEARNERS)))
