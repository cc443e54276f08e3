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
from typing import Any

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
def served_page(workspace: Path, course: Path) -> Iterator[str]:
    """The address of the page of a workspace; one Ctrl-C must end it."""
    process = subprocess.Popen(
        [sys.executable, "-m", "exercises", "ui", "--no-browser"],
        env={**os.environ, "EXERCISES_WORKSPACE": str(workspace), "EXERCISES_COURSE": str(course)},
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        assert line.startswith("The page is open at "), line
        yield line.split()[-1]
    finally:
        process.send_signal(signal.SIGINT)
        try:
            rest, _ = process.communicate(timeout=END_SECONDS)
            assert "The page is closed." in rest
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
