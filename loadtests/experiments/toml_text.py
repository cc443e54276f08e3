"""Reads TOML that people write in any editor, and says what is wrong with it in words that help."""

import re
import tomllib
from typing import Any

BOM = "\ufeff"
"""Some editors on Windows write it at the beginning of a file. TOML does not allow it."""
PLACE = re.compile(r"at line (\d+)")
DECIMAL_COMMA = re.compile(r"(?<![\w.,])(-?\d+),(\d+)(?![\w.,])")


class TomlError(ValueError):
    """A text that is not TOML. The message has the line and what was found there."""


def read_toml(text: str) -> dict[str, Any]:
    """The content of a TOML text, with or without a byte order mark; raises TomlError."""
    text = text.removeprefix(BOM)
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise TomlError(f"{error}{_hint(text, str(error))}") from error


def _hint(text: str, error: str) -> str:
    place = PLACE.search(error)
    line = text.splitlines()[int(place[1]) - 1] if place else ""
    comma = DECIMAL_COMMA.search(line)
    return f'; "{comma[0]}" has a decimal comma, write {comma[1]}.{comma[2]}' if comma else ""
