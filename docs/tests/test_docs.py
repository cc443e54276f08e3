"""The pages are true: generated pages are fresh, links have a target, and commands exist."""

from __future__ import annotations

import importlib
import re
import shlex
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SKIPPED = {"runs", "workspace", "build", "dist", "node_modules"}
NO_SETTINGS = {
    "SHOP_FLEET",  # a mark on the launcher's own processes
    "SHOP_RECOMMENDATIONS_URL",  # a setting of the workspace that the exercises build, not of a shop here
    "SHOP_URL",  # where the tests that a learner writes in exercise 01 find the shop
}
COMMANDS = ("monolith", "microservices", "loadtests", "exercises")


def markdown_files() -> list[Path]:
    """Every page of the repository, as in a fresh clone."""
    found = (path.relative_to(ROOT) for path in ROOT.rglob("*.md"))
    return sorted(p for p in found if not any(part in SKIPPED or part.startswith(".") for part in p.parts))


def each_page() -> list[object]:
    return [pytest.param(page, id=str(page)) for page in markdown_files()]


def prose(path: Path) -> str:
    """The page without its code, in which brackets have another meaning."""
    text = re.sub(r"^```.*?^```", "", path.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    return re.sub(r"`[^`\n]*`", "", text)


@cache
def anchors(path: Path) -> frozenset[str]:
    """The possible anchors of a link to this page: GitHub's name for each heading, and explicit ids."""
    text = re.sub(r"^```.*?^```", "", path.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    names: list[str] = re.findall(r'<a id="([^"]+)">', text)
    for heading in re.findall(r"^#{1,6} +(.+?) *$", text, flags=re.MULTILINE):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
        slug = re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")
        repeats = sum(
            name == slug or re.fullmatch(re.escape(slug) + r"-\d+", name) is not None for name in names
        )
        names.append(f"{slug}-{repeats}" if repeats else slug)
    return frozenset(names)


def dead_links(page: Path) -> list[str]:
    """The links of a page whose target is not in this repository."""
    text = prose(ROOT / page)
    targets = re.findall(r"\]\(<?([^)\s>]+)>?(?: \"[^\"]*\")?\)", text)
    targets += re.findall(r"\b(?:src|href)=\"([^\"]+)\"", text)
    dead = []
    for target in targets:
        if re.match(r"[a-z][a-z+.-]*:", target):
            continue  # another site: that would need a network
        name, _, anchor = target.partition("#")
        file = (ROOT / page).parent / name if name else ROOT / page
        if not file.exists() or (anchor and file.suffix == ".md" and anchor not in anchors(file.resolve())):
            dead.append(target)
    return dead


def shell_lines(page: Path) -> list[str]:
    """The lines of the page's shell blocks, continued lines joined."""
    blocks = re.findall(
        r"^```(?:sh|shell|console|bash|)\n(.*?)^```",
        (ROOT / page).read_text("utf-8"),
        re.DOTALL | re.MULTILINE,
    )
    return [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]


@cache
def documented_commands() -> dict[str, str]:
    """Command -> its help, from docs/commands.md (another test compares that page with the code)."""
    text = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
    return dict(re.findall(r"^#+ `([^`]+)`\n(.*?)(?=^#|\Z)", text, re.DOTALL | re.MULTILINE))


@cache
def make_targets() -> frozenset[str]:
    return frozenset(
        re.findall(r"^([a-z][\w-]*):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    )


def wrong_commands(page: Path) -> list[str]:
    """The lines of the page with a target, subcommand or option that does not exist."""
    return [line for line in shell_lines(page) if not is_right(line)]


def is_right(line: str) -> bool:
    lexer = shlex.shlex(line.removeprefix("$ "), posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    try:
        words = list(lexer)
    except ValueError:
        return True  # a part of a longer script: our own commands have no quoted text over several lines
    commands: list[list[str]] = [[]]
    for word in words:
        if set(word) <= set("|&;()<>"):
            commands.append([])
        elif commands[-1] or not re.match(r"[A-Z_]+=", word):  # settings may stand before a command
            commands[-1].append(word)
    return all(exists(command) for command in commands if command)


def exists(command: list[str]) -> bool:
    program = command[0].rpartition("/")[2]
    if program == "make":
        return all(word in make_targets() for word in command[1:] if "=" not in word)
    if program == "locust":
        return all((ROOT / file).is_file() for file in command[command.index("-f") + 1].split(","))
    return program not in COMMANDS or command_exists([program, *command[1:]])


def command_exists(words: list[str]) -> bool:
    name = words[0]
    for word in words[1:]:
        if f"{name} {word}" in documented_commands():
            name = f"{name} {word}"
        elif word.startswith("-"):
            if (
                re.search(
                    rf"(?<![\w-]){re.escape(word.partition('=')[0])}(?![\w-])", documented_commands()[name]
                )
                is None
            ):
                return False
        elif any(other.startswith(f"{name} ") for other in documented_commands()):
            return False  # a group without this subcommand
    return name in documented_commands()


@pytest.mark.parametrize("page", each_page())
def test_every_link_has_a_target(page: Path) -> None:
    assert dead_links(page) == []


@pytest.mark.parametrize("page", each_page())
def test_every_command_in_a_shell_block_exists(page: Path) -> None:
    assert wrong_commands(page) == []


def test_generated_pages_say_what_the_code_says() -> None:
    run = subprocess.run(
        [sys.executable, "-m", "docs.generate", "--check"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr


def test_only_a_class_that_reads_the_environment_has_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(ROOT))
    generate = importlib.import_module("docs.generate")
    field = '    port: int\n    """SHOP_PORT: where it listens (default 8000)."""\n'
    reads = "    def from_env(cls, env): ...\n"
    file = tmp_path / "config.py"
    file.write_text(f"class Config:\n{field}{reads}class Other:\n{field}")
    assert list(generate.documented(file)) == [("SHOP_PORT", "where it listens", "8000")]


def test_every_setting_that_the_code_reads_has_a_row() -> None:
    documented = set(re.findall(r"\bSHOP_\w+", (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")))
    used: set[str] = set()
    for part in COMMANDS:
        for path in (ROOT / part).rglob("*.py"):
            if not {"tests", "acceptance", "start", "solution", "alt", "wrong", "check.py"} & set(path.parts):
                used |= set(re.findall(r"[\"'](SHOP_[A-Z_]+[A-Z])[\"']", path.read_text(encoding="utf-8")))
    assert used - documented - NO_SETTINGS == set()


def test_a_dead_link_and_a_wrong_command_are_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# A page\n[here](#a-page) [gone](gone.md) [lost](#lost)\n```sh\nX=1 make nothing | cat\nmake test # all\n"
        "locust -f loadtests/locustfile.py,gone.py\n```\n"
    )
    assert dead_links(page) == ["gone.md", "#lost"]
    assert wrong_commands(page) == [
        "X=1 make nothing | cat",
        "locust -f loadtests/locustfile.py,gone.py",
    ]
