"""The page in a real browser: a learner's way through it, by mouse and by keyboard, and what axe-core finds."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from exercises.checks import load_run
from exercises.course.course import Course
from exercises.tests import browsing
from exercises.tests.browsing import (
    DESKTOP,
    NO_BROWSER,
    PHONE,
    RULES,
    assert_everybody_can_use,
    opened,
    served_page,
    wait_until,
)
from exercises.tests.learner import served_shop, write_answer
from exercises.tests.test_sealing import REAL
from exercises.workspaces import last_check, progress
from exercises.workspaces.workspace import Workspace

pytestmark = [
    pytest.mark.processes,
    pytest.mark.browser,
    pytest.mark.skipif(browsing.chromium() is None, reason=NO_BROWSER),
]
PANELS = ("tasks", "differences", "hints", "shop", "load", "results")
CHECK_MS = 300_000
expect.set_options(timeout=15_000)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with browsing.browser() as found:
        yield found


@pytest.fixture
def url(workspace: Workspace, course_folder: Path) -> Iterator[str]:
    with served_page(workspace.root, course_folder) as url:
        yield url


@pytest.fixture
def learner_command(workspace: Workspace, course_folder: Path) -> Callable[..., int]:
    """Runs a command in a terminal of its own; returns its exit status."""
    settings = {"EXERCISES_WORKSPACE": str(workspace.root), "EXERCISES_COURSE": str(course_folder)}

    def run(*words: str) -> int:
        command = [sys.executable, "-m", "exercises", *words]
        return subprocess.run(
            command, env={**os.environ, **settings}, capture_output=True, check=False
        ).returncode

    return run


def tab(page: Page, name: str) -> None:
    page.get_by_role("tab", name=name).click()


def walk(page: Page, workspace: Workspace, mistake: str, words: str) -> None:
    """A wrong answer, its words, a hint, a difference, the right answer, and the next exercise."""
    step = workspace.step
    following = workspace.course.after(step)
    assert following is not None
    expect(page.get_by_role("heading", level=1)).to_contain_text(step.manifest.title)
    check = next(each.check for each in step.manifest.wrong if each.name == mistake)
    task = next(each.id for each in step.manifest.tasks if check in each.checks)

    write_answer(workspace, f"wrong/{mistake}")
    tab(page, "Tasks")
    summary = page.locator(f"#summary-task-{task}")
    if not page.locator(f"#task-{task}").evaluate("each => each.open"):
        summary.click()
    page.locator(f"#check-{task}").click()
    expect(page.get_by_role("progressbar")).to_be_visible()
    expect(summary).to_contain_text("not yet", timeout=CHECK_MS)
    failure = page.locator(".failure").first
    expect(failure).to_contain_text(words, ignore_case=True)
    expect(failure.locator("dt")).to_have_text(["I did", "Expected", "Got", "Why", "Look at"])

    page.locator(f"#task-{task}").get_by_role("link", name="Hints").click()
    page.locator(f"#hint-{task}").click()
    expect(page.locator(f"#hints-{task}")).to_contain_text("1 of 3 seen")

    tab(page, "Differences")
    expect(page.locator(".file").first).to_be_visible()
    page.get_by_role("button", name="To the solution").click()
    page.get_by_role("button", name="Show it").click()
    expect(page.locator(".file").first).to_be_visible()

    write_answer(workspace, "solution")
    tab(page, "Tasks")
    page.get_by_role("button", name="Check all").click()
    go_on = page.get_by_role("button", name=f"Go on to {following.number}")
    expect(go_on).to_be_visible(timeout=CHECK_MS)
    go_on.click()
    expect(page.locator("[aria-current=step]")).to_contain_text(following.manifest.title)
    expect(page.locator("#notice")).to_contain_text("exercises next")
    assert workspace.step == following


def test_a_learner_goes_from_the_first_exercise_to_the_second(browser, url, workspace):
    with opened(browser, url) as page:
        walk(page, workspace, "always-ada", "hello ada")


@pytest.mark.course
def test_a_learner_goes_from_the_first_exercise_to_the_third(browser, url, workspace):
    with opened(browser, url) as page:
        walk(page, workspace, "always-ada", "hello ada")
        walk(page, workspace, "one", "200 bye")
    assert workspace.step.number == "03"


@pytest.mark.course
def test_a_learner_goes_from_the_first_real_exercise_to_the_third(browser, tmp_path):
    workspace = Workspace(tmp_path / "workspace", Course(REAL.folder))
    workspace.create()
    with served_page(workspace.root, REAL.folder) as url, opened(browser, url) as page:
        walk(page, workspace, "round-prices", "that rounds each total to whole euros")
        walk(page, workspace, "equal-weights", "of the visits: look at a product")
    assert workspace.step.number == "03"


def test_the_keyboard_alone_is_enough(browser, url, workspace):
    write_answer(workspace, "solution")
    with opened(browser, url) as page:
        page.keyboard.press("Tab")
        expect(page.get_by_role("link", name="Skip to the text")).to_be_focused()
        while page.evaluate("document.activeElement.id") != "tab-tasks":
            page.keyboard.press("Tab")
        page.keyboard.press("ArrowRight")
        expect(page.get_by_role("tab", name="Differences")).to_have_attribute("aria-selected", "true")
        page.keyboard.press("End")
        expect(page.get_by_role("tab", name="Results")).to_be_focused()
        page.keyboard.press("Home")
        expect(page.get_by_role("tab", name="Tasks")).to_be_focused()
        while page.evaluate("document.activeElement.id") != "check-all":
            page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        expect(page.locator("#announce")).to_have_text("A check runs.")
        expect(page.locator("#announce")).to_have_text("Say hello has passed.", timeout=CHECK_MS)
        expect(page.locator("#check-all")).to_be_focused()
        while page.evaluate("document.activeElement.id") != "go-on":
            page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        expect(page.locator("[aria-current=step]")).to_contain_text("Say goodbye")


def test_a_request_is_copied_as_it_is(browser, url, workspace):
    write_answer(workspace, "wrong/always-ada")
    with opened(browser, url) as page:
        page.locator("#check-greet").click()
        request = page.locator(".failure .code")
        expect(request).to_be_visible(timeout=CHECK_MS)
        request.hover()
        request.get_by_role("button", name="Copy").click()
        expect(page.locator("#announce")).to_have_text("Copied.")
        copied = page.evaluate("navigator.clipboard.readText()")
        assert copied == request.locator("code").text_content()
        assert copied.startswith("curl -i http://127.0.0.1:8000/hello/")


def test_a_check_in_a_terminal_appears_by_itself(browser, url, workspace, learner_command):
    write_answer(workspace, "solution")
    with opened(browser, url) as page:
        assert learner_command("check") == 0
        expect(page.get_by_role("button", name="Go on to 02")).to_be_visible()


def test_without_its_script_the_buttons_work(browser, url, workspace):
    with browsing.browser_window(browser, java_script_enabled=False) as page:
        page.goto(url)
        expect(page.get_by_role("tab", name="Hints")).to_be_hidden()
        page.locator("#check-greet").click()
        expect(page.get_by_role("heading", level=1)).to_contain_text("Say hello")
    wait_until(lambda: last_check.last_check(workspace, workspace.step) == {"greets": "not yet"})


def test_ctrl_c_ends_the_check_that_the_page_started(browser, workspace, course_folder):
    (workspace.root / "monolith/greeting.py").write_text(
        "import time\n\n\ndef hello(name):\n    time.sleep(600)\n"
    )
    with browsing.browser_window(browser) as page, served_page(workspace.root, course_folder) as url:
        page.goto(url)
        page.locator("#check-greet").click()
        wait_until(lambda: bool((found := progress.read(workspace.data_dir)) and found.running))
    found = progress.read(workspace.data_dir)
    assert found is not None
    wait_until(lambda: not found.running)
    assert last_check.results(workspace) == []


def test_the_page_says_when_its_program_has_ended(browser, workspace, course_folder):
    with browsing.browser_window(browser) as page:
        with served_page(workspace.root, course_folder) as url:
            page.goto(url)
            expect(page.locator("#gone")).to_be_hidden()
        expect(page.locator("#gone")).to_be_visible()
        expect(page.locator("#gone")).to_contain_text("exercises ui")


@pytest.fixture
def shop_in_a_terminal(workspace: Workspace, free_port: int) -> Iterator[None]:
    workspace.jump(workspace.course.steps[1], "solution")
    with served_shop(workspace, free_port):
        yield


def test_an_open_shop_is_watched_paused_and_killed(browser, shop_in_a_terminal, url):
    with opened(browser, f"{url}#shop") as page:
        replica = page.locator(".member", has_text="monolith-1")
        expect(replica.locator(".phase")).to_have_text("ready")
        expect(page.locator(".map")).to_contain_text("gateway")
        page.get_by_role("button", name="Pause monolith-1").click()
        expect(replica.locator(".phase")).to_have_text("paused")
        expect(page.locator("#notice")).to_contain_text("exercises shop pause monolith-1")
        page.get_by_role("button", name="Resume monolith-1").click()
        expect(replica.locator(".phase")).to_have_text("ready")
        pid = replica.inner_text().split("pid ")[1].split()[0]
        page.get_by_role("button", name="Kill monolith-1").click()
        expect(page.locator("#notice")).to_contain_text("the launcher starts it again")
        expect(replica).not_to_contain_text(f"pid {pid}")
        expect(replica.locator(".phase")).to_have_text("ready")
        page.locator(".map [data-log=monolith]").click()
        chosen = page.locator(".chosen-one")
        expect(chosen.locator(".livelog")).to_be_visible()
        expect(chosen.locator("h3")).to_be_in_viewport()
        cpu, mebibytes = chosen.locator("tbody td").nth(4), chosen.locator("tbody td").nth(5)
        expect(mebibytes).to_have_text(re.compile(r"^\d\d"))
        expect(cpu).to_have_text(re.compile(r"^\d"))
        page.locator("#log-of-monolith-1").click()
        expect(page.locator(".log-title")).to_contain_text("monolith-1")
        assert Axe().run(page, options=RULES).violations_count == 0
        tab(page, "Load")
        expect(page.get_by_role("button", name="Send visitors")).to_be_visible()
        expect(page.locator("[data-chart=rate] canvas")).to_be_visible()
        assert Axe().run(page, options=RULES).violations_count == 0


def pretend_load(workspace: Workspace, file: str, rate: float) -> None:
    """Write what a run of visitors leaves: so many answers in each second."""
    folder = workspace.data_dir / "load"
    folder.mkdir(exist_ok=True)
    quiet = {
        "p50_ms": 5,
        "p95_ms": 9,
        "p99_ms": 12,
        "failed": 0,
        "not_started": 0,
        "replicas": 1,
        "personas": {},
    }
    points = [{"at": second, "rate": rate, **quiet} for second in range(1, 31)]
    (folder / file).write_text("".join(f"{json.dumps(point)}\n" for point in points))


PIXELS = """canvas => {
  const {data} = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  const accent = [11, 100, 114];
  let strong = 0, faint = 0;
  for (let at = 0; at < data.length; at += 4) {
    if (!accent.every((value, index) => Math.abs(value - data[at + index]) < 6)) continue;
    if (data[at + 3] === 255) strong += 1;
    else if (data[at + 3] > 50) faint += 1;
  }
  return [strong, faint];
}"""
"""How many pixels have the colour of the answers per second: all of it, and a part of it."""


def test_the_run_before_is_drawn_faint_and_leaves_the_present_one_as_it_is(browser, url, workspace):
    def drawn(page: Page, *, with_earlier: bool) -> list[int]:
        page.reload()
        expect(page.locator("#chart-rate output")).to_contain_text("10/s")
        expect(page.get_by_text("Faint behind")).to_be_visible(visible=with_earlier)
        pixels: list[int] = page.locator("[data-chart=rate] canvas").evaluate(PIXELS)
        return pixels

    pretend_load(workspace, load_run.POINTS, 10)
    with opened(browser, f"{url}#load", color_scheme="light") as page:
        line, edge = drawn(page, with_earlier=False)
        assert line > 200
        pretend_load(workspace, load_run.EARLIER, 6)
        strong, faint = drawn(page, with_earlier=True)
        assert strong == line
        assert faint > edge + 200


def pretend_run(workspace: Workspace, name: str, experiments: list[str]) -> None:
    """Write what a run of the lab leaves, with a long report."""
    folder = workspace.root / "runs" / name
    folder.mkdir(parents=True)
    notes = {"started": "2026-01-02T03:04:05Z", "experiments": experiments, "seconds": 90}
    (folder / "run.json").write_text(json.dumps(notes))
    parts = "".join(
        f'<h2 id="{part}">{part} of {name}</h2><p style="height: 90rem">.</p>'
        for part in ("ledger", *experiments, "machine")
    )
    (folder / "report.html").write_text(f"<!doctype html><title>{name}</title>{parts}")


def test_two_reports_stand_side_by_side_and_go_to_the_same_part(browser, url, workspace):
    pretend_run(workspace, "monday", ["tax", "cascade"])
    pretend_run(workspace, "tuesday", ["cascade", "spike"])
    with opened(browser, f"{url}#results") as page:
        page.get_by_label("Before").select_option("monday")
        page.get_by_label("After").select_option("tuesday")
        with page.expect_popup() as popup:
            page.get_by_role("button", name="Open both reports").click()
        both = popup.value
        for name in ("monday", "tuesday"):
            report = both.frame_locator(f"iframe[title='The report of {name}']")
            expect(report.get_by_role("heading", name=f"ledger of {name}")).to_be_in_viewport()
        links = both.get_by_role("navigation", name="In both reports").get_by_role("link")
        expect(links).to_have_text(["Ledger", "cascade", "Machine"])
        both.get_by_role("link", name="cascade").click()
        for name in ("monday", "tuesday"):
            report = both.frame_locator(f"iframe[title='The report of {name}']")
            expect(report.get_by_role("heading", name=f"cascade of {name}")).to_be_in_viewport()
        left, right = (each.bounding_box() for each in both.locator("iframe").all())
        assert left["y"] == right["y"]
        for size in (DESKTOP, PHONE):
            assert_everybody_can_use(both, size)


def test_everybody_can_use_each_panel(browser, url, workspace, learner_command):
    learner_command("check", "--quick")
    learner_command("hint", "greet")
    (workspace.root / "monolith/greeting.py").write_text("changed = 1\n")
    with opened(browser, url) as page:
        for size in (DESKTOP, PHONE):
            page.set_viewport_size({"width": size[0], "height": size[1]})
            for panel in PANELS if size == DESKTOP else ("text", *PANELS):
                tab(page, panel.capitalize())
                expect(page.locator(f"#panel-{panel} h2").first).to_be_attached()
                assert_everybody_can_use(page, size)


@pytest.mark.course
def test_a_machine_that_slept_is_told_and_the_page_goes_on(
    browser, workspace, course_folder, learner_command
):
    write_answer(workspace, "solution")
    with served_page(workspace.root, course_folder) as url, browsing.browser_window(browser) as page:
        page.clock.install()
        page.goto(url)
        expect(page.locator("#slept")).to_be_hidden()
        page.clock.fast_forward("03:10:00")
        expect(page.locator("#slept")).to_contain_text("This machine slept for 3 h.")
        learner_command("check")
        expect(page.get_by_role("button", name="Go on to 02")).to_be_visible()
        page.get_by_role("button", name="Close this message about sleep").click()
        expect(page.locator("#slept")).to_be_hidden()


def test_without_motion_nothing_turns(browser, url, workspace):
    write_answer(workspace, "solution")
    with opened(browser, url, reduced_motion="reduce") as page:
        page.locator("#check-all").click()
        turning = page.locator(".turn").first
        turning.wait_for(state="attached")
        assert turning.evaluate("each => getComputedStyle(each).animationName") == "none"
        expect(page.get_by_role("button", name="Go on to 02")).to_be_visible(timeout=CHECK_MS)
