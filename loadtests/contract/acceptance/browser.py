"""A small browser: cookies, links and forms of real pages, without scripts.

It does not follow redirects by itself, because many tests check where a page redirects to.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import urljoin, urlsplit

import requests

from loadtests.contract.acceptance.visitors import SourceAddressAdapter
from loadtests.contract.client import new_session, session_cookie

TIMEOUT_SECONDS = 30
VOID = frozenset(
    {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "wbr"}
)


@dataclass
class Form:
    """A form of a page, with the fields that it sends if nothing is typed."""

    action: str
    method: str
    fields: dict[str, str] = field(default_factory=dict)


class PageParser(HTMLParser):
    """Collects texts, links and forms, and the tags that are closed in the wrong order."""

    def __init__(self) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self.links: list[str] = []
        self.headings: list[str] = []
        self.title = ""
        self.text: list[str] = []
        self.unbalanced: list[str] = []
        self._open: list[str] = []
        self._select = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag not in VOID:
            self._open.append(tag)
        if tag == "form":
            self.forms.append(Form(given.get("action", ""), given.get("method", "get").upper()))
        elif tag == "a" and "href" in given:
            self.links.append(given["href"])
        elif tag == "h1":
            self.headings.append("")
        elif self.forms and "form" in self._open:
            self._field(tag, given)

    def _field(self, tag: str, given: dict[str, str]) -> None:
        fields = self.forms[-1].fields
        if tag == "select":
            self._select = given.get("name", "")
        elif tag == "option" and (self._select not in fields or "selected" in given):
            fields[self._select] = given.get("value", "")
        elif tag in ("input", "textarea") and given.get("name") and given.get("type") != "submit":
            fields[given["name"]] = given.get("value", "")

    def handle_endtag(self, tag: str) -> None:
        if not self._open or self._open.pop() != tag:
            self.unbalanced.append(tag)

    def handle_data(self, data: str) -> None:
        if "title" in self._open:
            self.title += data
        if "h1" in self._open and self.headings:
            self.headings[-1] += data
        if not {"script", "style", "head"} & set(self._open):
            self.text.append(data)


class Page:
    """One HTML response of the shop."""

    def __init__(self, response: requests.Response) -> None:
        self.response = response
        self.status = response.status_code
        self.location = response.headers.get("Location", "")
        self.html = PageParser()
        self.html.feed(response.text)
        self.html.close()
        for form in self.html.forms:
            form.action = urljoin(response.url, form.action)

    @property
    def text(self) -> str:
        """The visible text, in one line."""
        return " ".join(" ".join(self.html.text).split())

    def forms(self, action: str) -> list[Form]:
        """The forms whose action is this path."""
        return [form for form in self.html.forms if urlsplit(form.action).path == action]

    def form(self, action: str) -> Form:
        """The first form whose action is this path."""
        found = self.forms(action)
        assert found, f"no form for {action} on {self.response.url}"
        return found[0]


class Browser:
    """Keeps cookies, and sends the headers of a browser, such as Origin."""

    def __init__(self, base_url: str, *, source: str | None = None) -> None:
        self.base_url = base_url
        self._session = new_session()
        if source:
            self._session.mount("http://", SourceAddressAdapter(source))

    @property
    def cookie(self) -> str | None:
        """The session cookie's value."""
        return self._session.cookies.get(session_cookie(self.base_url))

    def get(self, path: str) -> Page:
        return self._send("GET", path, {}, {})

    def submit(self, form: Form, **typed: str) -> Page:
        """Send the form with some fields filled in. AssertionError for a field that the form does not have."""
        unknown = typed.keys() - form.fields.keys()
        assert not unknown, f"the form {form.action} has no {unknown}, only {list(form.fields)}"
        return self._send(form.method, form.action, form.fields | typed, {"Origin": self.base_url})

    def post(self, path: str, fields: dict[str, str], headers: dict[str, str]) -> Page:
        """Send fields without a form of the shop, as another site or program would."""
        return self._send("POST", path, fields, headers)

    def ask(self, method: str, path: str, headers: dict[str, str] | None = None) -> Page:
        """Send any other request."""
        return self._send(method, path, {}, headers or {})

    def follow(self, page: Page) -> Page:
        """Follow the redirect of the page."""
        assert page.status == 303, f"{page.response.url} answered {page.status}, no redirect: {page.text}"
        return self.get(page.location)

    def sign_in(self, email: str, password: str) -> Page:
        """Sign in through the form. The response is the redirect, or the form again."""
        return self.submit(self.get("/sign-in").form("/sign-in"), email=email, password=password)

    def put_in_cart(self, sku: str, quantity: int = 1) -> Page:
        """Put a product into the cart through the form on its page."""
        form = self.get(f"/products/{sku}").form("/cart/items")
        return self.submit(form, quantity=str(quantity))

    def close(self) -> None:
        self._session.close()

    def _send(self, method: str, path: str, fields: dict[str, str], headers: dict[str, str]) -> Page:
        url = urljoin(self.base_url + "/", path)
        sent = {"params": fields} if method == "GET" and fields else {"data": fields or None}
        response = self._session.request(
            method, url, headers=headers, timeout=TIMEOUT_SECONDS, allow_redirects=False, **sent
        )
        return Page(response)
