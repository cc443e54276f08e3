"""Product pictures without image files: a shape for the category, two inks and a background chosen by the SKU.

The same SKU always gets the same picture, in every process and on every machine: the choice is by a checksum, because
Python's own hash() differs from run to run.
"""

from __future__ import annotations

import re
import zlib
from functools import lru_cache
from pathlib import Path

from markupsafe import Markup

_SHAPE = re.compile(r'<g id="([a-z-]+)">(.*?)</g>')
_SHAPES: dict[str, str] = dict(_SHAPE.findall(Path(__file__).with_name("motifs.svg").read_text("utf-8")))
_UNKNOWN = "parcel"

INKS = 12  # pairs of colours, .k0 to .k11 in shop.css

_SHELF = '<path class="shelf" d="M0 106h100v14H0z"/>'
_BACKGROUNDS = (
    '<circle class="back" cx="50" cy="60" r="37"/>',
    '<circle class="back" cx="72" cy="38" r="20"/>',
    '<path class="back" d="M0 84q22-26 46-8t54-14v44H0z"/>',
    '<path class="backline" d="M14 0v106M32 0v106M50 0v106M68 0v106M86 0v106"/>',
    '<path class="backline" d="M50 106L0 66M50 106L0 20M50 106L26 0M50 106L74 0M50 106L100 20M50 106L100 66"/>',
    '<path class="back" d="M24 106V50a26 26 0 0 1 52 0v56z"/>',
)
# (front, behind): the place of the shape, and of a smaller one in swapped inks behind it.
_ARRANGEMENTS = (
    ("translate(3 6.400)scale(.94)", None),
    ("translate(97 6.400)scale(-.94 .94)", None),
    ("translate(-3 21.200)scale(.8)", "translate(45 50.900)scale(.52)"),
    ("translate(103 21.200)scale(-.8 .8)", "translate(55 50.900)scale(-.52 .52)"),
)


@lru_cache(maxsize=4096)
def picture(sku: str, kind: str) -> Markup:
    """The picture of a product as an inline SVG element; a category without a shape gets a parcel."""
    shape = _SHAPES.get(kind, _SHAPES[_UNKNOWN])
    draw, inks = divmod(zlib.crc32(sku.encode()), INKS)
    draw, background = divmod(draw, len(_BACKGROUNDS))
    front, behind = _ARRANGEMENTS[draw % len(_ARRANGEMENTS)]
    things = f'<g transform="{front}">{shape}</g>'
    if behind is not None:
        things = f'<g transform="{behind}">{_swap_inks(shape)}</g>{things}'
    return _niche(inks, _BACKGROUNDS[background] + _SHELF + things)


@lru_cache(maxsize=256)
def emblem(kind: str) -> Markup:
    """The small picture of a category."""
    return _niche(zlib.crc32(kind.encode()) % INKS, _SHELF + _SHAPES.get(kind, _SHAPES[_UNKNOWN]))


def _niche(inks: int, content: str) -> Markup:
    # Decoration only, hidden from screen readers: the product's name is beside it as text.
    # Every part comes from this package, none from a request, so nothing needs escaping.
    return Markup(f'<svg class="pic k{inks}" viewBox="0 0 100 120" aria-hidden="true">{content}</svg>')  # noqa: S704


def _swap_inks(shape: str) -> str:
    return re.sub(r'class="(l?)([ab])"', lambda m: f'class="{m[1]}{"b" if m[2] == "a" else "a"}"', shape)
