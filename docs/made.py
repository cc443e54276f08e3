"""Fills the generated parts of a page: those between `<!-- made: NAME -->` and `<!-- /made -->`."""  # noqa: INP001 -- docs/ is no package: this is run from a checkout, never installed

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

PLACE = re.compile(r"(<!-- made: ([a-z-]+) -->\n).*?(<!-- /made -->)", re.DOTALL)


def filled(text: str, makers: Mapping[str, Callable[[], str]]) -> str:
    """The page with its generated parts replaced; raises KeyError for a part without a maker."""
    return PLACE.sub(lambda found: f"{found[1]}\n{makers[found[2]]()}\n{found[3]}", text)
