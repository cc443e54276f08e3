"""Rendering of pages: filters for the templates, the headers of every page, and the pages for errors.

The browser is told to run no script and to load nothing from other sites, so that a name that a user typed stays text.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import urlencode

from flask import Blueprint, render_template, request
from werkzeug.wrappers import Response

from . import session
from .pictures import emblem, picture

_STYLES = (Path(__file__).parent / "static" / "shop.css").read_bytes()
_STYLESHEET = f"/static/shop.css?v={zlib.crc32(_STYLES):08x}"
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "private, no-cache",
    "Vary": "Cookie",
}


ErrorPage: TypeAlias = tuple[str, int, dict[str, str]]


def init_pages(pages: Blueprint) -> None:
    """Give the templates their filters, and every answer of these pages its headers."""
    for name, function in _FILTERS.items():
        pages.add_app_template_filter(function, name)
    pages.after_request(add_headers)


def page(template: str, section: str = "", **facts: Any) -> str:
    """A page of the shop; `section` is its link in the header."""
    return render_template(
        template, section=section, stylesheet=_STYLESHEET, signed_in=session.signed_in(), **facts
    )


def error_page(status: int, slug: str = "", request_id: str = "", why: str = "") -> ErrorPage:
    """The page for an error that no other page explains; `why` replaces its usual sentence."""
    title, sentence, shape = _ERRORS.get(slug) or _ERRORS.get(status) or _ERRORS[status // 100 * 100]
    html = page(
        "error.html",
        title=title,
        sentence=why or sentence,
        shape=shape,
        retry=request.full_path.rstrip("?") if status >= 500 and request.method == "GET" else "",
        request_id=request_id if status >= 500 else "",
    )
    return html, status, {"Retry-After": "1"} if status == 503 else {}


def money(cents: int) -> str:
    """Cents as euros."""
    return f"€{cents // 100:,}.{cents % 100:02d}"


@lru_cache(maxsize=256)
def words(slug: str) -> str:
    """A category's slug as a person writes it."""
    return slug.replace("-", " ").title()


def day(moment_text: str) -> str:
    """The day of a moment, such as 31 January 2026."""
    at = _read_time(moment_text)
    return f"{at.day} {at:%B %Y}"


def moment(moment_text: str) -> str:
    """Day and time of day, in UTC as the shop stores it."""
    return f"{day(moment_text)}, {_read_time(moment_text):%H:%M} UTC"


def steps(number: int, last: int) -> list[int | None]:
    """The page numbers to offer: first, last and those around this one; None means a gap."""
    shown = sorted({1, last, *range(max(1, number - 1), min(last, number + 1) + 1)})
    row: list[int | None] = []
    for before, step in zip([0, *shown], shown, strict=False):
        if step - before > 1:
            row.append(step - 1 if step - before == 2 else None)
        row.append(step)
    return row


def categories_by_sku(found: Mapping[str, Any] | None) -> dict[str, str]:
    """The category of each product of a list, by SKU, for its picture. None is a list that is not available."""
    return {item["sku"]: item["category"] for item in found["items"]} if found else {}


def last_page(found: Mapping[str, Any]) -> int:
    """The number of the last page of a list."""
    return max(1, -(-int(found["total"]) // int(found["page_size"])))


def search_link(q: str, category: str) -> str:
    """The address of a search without its page number, which goes at the end."""
    narrowed = {name: value for name, value in (("q", q), ("category", category)) if value}
    return f"/search?{urlencode({**narrowed, 'page': ''})}"


def _read_time(text: str) -> datetime:
    return datetime.fromisoformat(text)


def add_headers(response: Response) -> Response:
    """Add the headers that say what a browser may do with the response."""
    response.headers.update(_HEADERS)
    if request.endpoint == "storefront.static" and response.status_code < 400:
        # The address contains a checksum of the file, so a cached copy is never out of date.
        response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
    return response


_FILTERS: dict[str, Callable[..., Any]] = {
    "money": money, "words": words, "day": day, "moment": moment, "steps": steps,
    "picture": picture, "emblem": emblem,
}  # fmt: skip
_ERRORS: dict[int | str, tuple[str, str, str]] = {
    400: (
        "The request is not valid",
        "The shop could not read what was sent. Go back and try again.",
        "broken",
    ),
    403: (
        "That form came from another site",
        "It was not sent from a page of this shop, so nothing was done. Open the page here and try again.",
        "closed",
    ),
    404: (
        "Page not found",
        "There is no page at this address. The link may be old, or have a typing mistake.",
        "empty",
    ),
    413: ("That is too large", "A form of this shop is never that large. Go back and try again.", "broken"),
    500: (
        "Something went wrong",
        "This is our mistake, and it has been logged. You can try again.",
        "broken",
    ),
    503: (
        "Not available just now",
        "This part of the shop does not answer just now. Your cart and orders are kept; try again in a moment.",
        "closed",
    ),
    "unknown-product": ("We do not have that", "The shop has no such product, or no longer.", "empty"),
    "unknown-order": ("No such order", "None of your orders has this number.", "empty"),
}
