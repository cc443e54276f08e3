"""Fills the parts of a page that the code knows better: between `<!-- made: NAME -->` and `<!-- /made -->`."""  # noqa: INP001 -- docs/ is no package: this is run from a checkout, never installed

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

PLACE = re.compile(r"(<!-- made: ([a-z-]+) -->\n).*?(<!-- /made -->)", re.DOTALL)


def filled(text: str, makers: Mapping[str, Callable[[], str]]) -> str:
    """The page with these parts made anew; KeyError for a part that nobody knows how to make."""
    return PLACE.sub(lambda found: f"{found[1]}\n{makers[found[2]]()}\n{found[3]}", text)
