"""A real browser for tests of the page, and the page as a process, as `exercises ui` starts it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright

CHROMIUM = (
    "chromium",
    "chromium-browser",
    "google-chrome-stable",
    "google-chrome",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
)
QUIET = (
    "--no-sandbox",  # for containers that run as root; it opens only our own page
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
RULES = {
    "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    "resultTypes": ["violations"],  # what holds need not be described
}
LOOKS: tuple[tuple[Literal["light", "dark"], Literal["none", "active"]], ...] = (
    ("light", "none"),
    ("dark", "none"),
    ("light", "active"),
    ("dark", "active"),
)
"""Colours of the system, and whether it forces its own on every page."""
DESKTOP, PHONE = (1280, 720), (390, 844)
END_SECONDS = 10.0
NO_BROWSER = "There is no Chromium on this machine; install one, or name it in SHOP_TEST_CHROMIUM."


def chromium() -> str | None:
    """The path of a Chromium; None when there is none."""
    named = os.environ.get("SHOP_TEST_CHROMIUM")
    return next((path for name in ([named] if named else CHROMIUM) if (path := shutil.which(name))), None)


@contextmanager
def browser() -> Iterator[Browser]:
    """The system's Chromium without a window."""
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=chromium(), args=[*QUIET])
        try:
            yield found
        finally:
            found.close()


@contextmanager
def served_page(workspace: Path, course: Path, *options: str) -> Iterator[str]:
    """The address of the page of a workspace; one Ctrl-C must end it."""
    settings = {"EXERCISES_WORKSPACE": str(workspace), "EXERCISES_COURSE": str(course)}
    with served("ui", *options, settings=settings, folder=workspace.parent) as says:
        line = next(line for line in says if "open at" in line)
        assert line.startswith("The page is open at "), line
        yield line.split()[-1]


@contextmanager
def served(command: str, *options: str, settings: dict[str, str], folder: Path) -> Iterator[Iterator[str]]:
    """The lines that `exercises ui`, `show` or `teach` prints, run in this folder; one Ctrl-C must end it."""
    process = subprocess.Popen(
        [sys.executable, "-m", "exercises", command, "--no-browser", *options],
        env={name: value for name, value in os.environ.items() if not name.startswith("SHOP_")} | settings,
        cwd=folder,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    try:
        yield iter(process.stdout.readline, "")
    finally:
        process.send_signal(signal.SIGINT)
        try:
            rest, _ = process.communicate(timeout=END_SECONDS)
            assert " is closed" in rest
            assert process.returncode == 0
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)


@contextmanager
def opened(browser: Browser, url: str, size: tuple[int, int] = DESKTOP, **how: Any) -> Iterator[Page]:
    """A window with the page. It asks only this server, and reports no error."""
    context = browser.new_context(viewport={"width": size[0], "height": size[1]}, **how)
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    page = context.new_page()
    asked: list[str] = []
    errors: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    try:
        page.goto(url)
        yield page
    finally:
        context.close()
    assert errors == []
    base = url.partition("#")[0]
    assert [address for address in asked if not address.startswith(base)] == []


def assert_everybody_can_use(page: Page, size: tuple[int, int]) -> None:
    """At this size, axe-core finds nothing in light, dark and forced colours, and nothing is wider than the window."""
    page.set_viewport_size({"width": size[0], "height": size[1]})
    for colours, forced in LOOKS:
        page.emulate_media(color_scheme=colours, forced_colors=forced)
        found = Axe().run(page, options=RULES)
        assert found.violations_count == 0, f"{colours}, forced {forced}, {size}: {found.generate_report()}"
    assert page.evaluate("document.documentElement.scrollWidth") <= size[0]


@contextmanager
def browser_window(browser: Browser, **how: Any) -> Iterator[Page]:
    """An empty window whose errors are not looked at."""
    context = browser.new_context(**how)
    try:
        yield context.new_page()
    finally:
        context.close()


def wait_until(holds: Callable[[], bool], seconds: float = 60.0) -> None:
    """Poll until the condition holds."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)
