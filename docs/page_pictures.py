"""Takes the pictures of docs/page.md: `python -m docs.page_pictures` plays a learner and needs a Chromium.

The workspace is a new one with the real course. It is in no particular state that anybody prepared: each picture is
taken after the clicks that the page describes.
"""  # noqa: INP001 -- docs/ is no package: this is run from a checkout, never installed

from __future__ import annotations

import tempfile
from pathlib import Path

from playwright.sync_api import Browser, Page, expect

from exercises.commands.shop import SERVE_PORT
from exercises.course.course import Course
from exercises.page.room.membership import join
from exercises.page.room.news import News
from exercises.tests.browsing import DESKTOP, PHONE, browser, opened, served, served_page
from exercises.tests.learner import served_shop, write_answer
from exercises.workspaces.workspace import Workspace

DOCS = Path(__file__).resolve().parent
PICTURES = DOCS / "pictures"
COURSE = DOCS.parent / "exercises"
SLOW_MS = 180_000
SHOP_STEP = "09"
SETTLED_MS = 4000
SHOW = (1440, 1000)


def main() -> None:
    """Write all pictures."""
    PICTURES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, browser() as chromium:
        workspace = Workspace(Path(folder) / "workspace", Course(COURSE))
        workspace.create()
        write_answer(workspace, "wrong/round-prices")
        with served_page(workspace.root, COURSE) as url:
            with opened(chromium, url) as page:
                page.locator("#check-quick").click()
                expect(page.locator(".failure").first).to_be_visible(timeout=SLOW_MS)
                expect(page.locator("#stop")).to_be_hidden(timeout=SLOW_MS)
                take(page, "page-tasks")
                page.get_by_role("tab", name="Differences").click()
                expect(page.locator(".file").first).to_be_visible()
                take(page, "page-differences")
            with opened(chromium, url, color_scheme="dark") as page:
                page.get_by_role("tab", name="Hints").click()
                page.locator("#hint-money").click()
                expect(page.locator("#hints-money")).to_contain_text("1 of 3 seen")
                take(page, "page-hints-dark")
            with opened(chromium, url, PHONE) as page:
                take(page, "page-phone")
        room(chromium, Path(folder))
        show(chromium, Path(folder))
        workspace.jump(workspace.course.step(SHOP_STEP), "solution")
        with (
            served_shop(workspace, SERVE_PORT),
            served_page(workspace.root, COURSE) as url,
            opened(chromium, url) as page,
        ):
            live(page)


def live(page: Page) -> None:
    """Scale, send visitors twice, pause a replica; then the two live panels."""
    page.get_by_role("tab", name="Shop").click()
    for count in (2, 3):
        page.get_by_role("button", name="One replica of recommendations more").click()
        expect(page.locator(".services")).to_contain_text(f"recommendations-{count}", timeout=SLOW_MS)
        close_message(page, f"now has {count} replicas")
    page.get_by_role("tab", name="Load").click()
    send_visitors(page)
    expect(page.get_by_role("button", name="Send visitors")).to_be_visible(timeout=SLOW_MS)
    send_visitors(page)
    page.get_by_role("tab", name="Shop").click()
    page.wait_for_timeout(4 * SETTLED_MS)  # the spike is in the middle
    page.get_by_role("button", name="Pause recommendations-2").click()
    close_message(page, "Paused")
    page.wait_for_timeout(SETTLED_MS)
    take(page, "page-shop")
    page.get_by_role("button", name="Resume recommendations-2").click()
    close_message(page, "goes on")
    page.get_by_role("tab", name="Load").click()
    expect(page.get_by_role("button", name="Send visitors")).to_be_visible(timeout=SLOW_MS)
    take(page, "page-load")


def send_visitors(page: Page) -> None:
    """For 45 seconds; the spike is in the middle."""
    page.get_by_label("Seconds").fill("45")
    page.get_by_role("button", name="Send visitors").click()
    expect(page.get_by_role("button", name="Stop", exact=True)).to_be_visible(timeout=SLOW_MS)
    expect(page.locator("#chart-rate output")).to_contain_text("/s", timeout=SLOW_MS)


def room(chromium: Browser, folder: Path) -> None:
    """A class of eight: each is somewhere else, two are stuck."""
    course = Course(COURSE)
    settings = {"EXERCISES_COURSE": str(COURSE)}
    with (
        served("teach", settings=settings, folder=folder) as says,
        opened(chromium, next(says).split()[-1]) as page,
    ):
        joining = next(says)
        address, code = joining.split("--join ")[1].split()[0], joining.split("--code ")[1].split()[0]
        for number, nick in enumerate(
            ("Ada", "Alan", "Barbara", "Edsger", "Grace", "Ken", "Margaret", "Niklaus")
        ):
            step = course.steps[number % 3]
            tasks = step.manifest.tasks
            task = tasks[number % len(tasks)]
            passed = tasks.index(task)
            join(address, code, nick).tell(
                News(
                    step=step.label,
                    task=task.id,
                    tasks=len(tasks),
                    passed=passed,
                    result="not yet" if number % 4 else "not checked",
                    failing=(task.checks[0],) if number % 4 else (),
                    feeling="stuck" if number in {1, 5} else "",
                )
            )
        expect(page.locator(".people tbody tr")).to_have_count(8)
        take(page, "page-room")


def show(chromium: Browser, folder: Path) -> None:
    """Both reference shops in the spike, while orders is paused."""
    with (
        served("show", "--traces", settings={}, folder=folder) as says,
        opened(chromium, next(says).split()[-1], SHOW) as page,
    ):
        page.get_by_label("Seconds").fill("60", timeout=SLOW_MS)
        page.get_by_role("button", name="Send visitors").click()
        page.wait_for_timeout(7 * SETTLED_MS)
        page.get_by_role("button", name="Pause orders-1").click()
        close_message(page, "Paused")
        page.wait_for_timeout(2 * SETTLED_MS)
        take(page, "page-show")


def close_message(page: Page, words: str) -> None:
    """Wait for what a command said, and close it."""
    expect(page.locator("#notice")).to_contain_text(words, timeout=SLOW_MS)
    page.get_by_role("button", name="Close this message").click()
    expect(page.locator("#notice")).to_be_empty()


def take(page: Page, name: str) -> None:
    """One picture, of the size that the window has."""
    size = page.viewport_size or {"width": DESKTOP[0]}
    page.mouse.move(size["width"] - 1, 0)
    page.wait_for_timeout(300)
    page.screenshot(path=PICTURES / f"{name}.png", animations="disabled")


if __name__ == "__main__":
    main()
