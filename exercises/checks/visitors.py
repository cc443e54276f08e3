"""Those who ask a shop in the checks: strangers and customers. Every request is kept as a curl line to copy."""

from __future__ import annotations

import json as jsonlib
import shlex
import time
from collections.abc import Callable, Mapping
from typing import Any

import requests

from exercises.checks.answers import Answer
from exercises.checks.checking import NotYet
from loadtests.contract.client import Client

ADMIN = "admin@example.com"
NO_ANSWER = 0
SERVED = "http://127.0.0.1:8000"
"""Where `exercises serve` opens a shop: the shop that a check asked is gone when somebody copies the line."""


class Person(Client):
    """Every answer is handed to `heard` with its request as a curl line, and what goes wrong is "not yet"."""

    def __init__(
        self,
        where: Callable[[], str],
        heard: Callable[[Answer], None],
        *,
        cookies: bool = True,
        mine: bool = True,
    ) -> None:
        super().__init__(where)
        self._heard = heard
        self._cookies = cookies
        self._mine = mine
        """Whether the shop is the learner's, so that no answer is his to mend."""

    def ask(
        self,
        method: str,
        path: str,
        *,
        json: Any = None,
        form: dict[str, str] | None = None,
        headers: dict[str, str] | None = None,
        timeout: float = 10.0,
    ) -> Answer:
        """Send one request; no answer at all raises NotYet."""
        answer = self.try_ask(method, path, json=json, form=form, headers=headers, timeout=timeout)
        if answer.status == NO_ANSWER:
            if not self._mine:
                raise RuntimeError(f"The shop to compare with gave {answer}: {answer.curl}")
            raise NotYet(
                did=answer.curl,
                expected="an answer",
                got=str(answer),
                why="A shop that does not answer sells nothing.",
                look="the log below",
            )
        return answer

    def try_ask(
        self,
        method: str,
        path: str,
        *,
        json: Any = None,
        form: dict[str, str] | None = None,
        headers: dict[str, str] | None = None,
        timeout: float = 10.0,
    ) -> Answer:
        """Send one request; no answer at all has status 0 and the reason as its text."""
        shown = SERVED if self._mine else self._where()
        line = curl(method, shown + path, self.signed(headers), json, form, token=self.token)
        if not self._cookies:
            self._session.cookies.clear()
        started = time.perf_counter()
        try:
            response = self.call(method, path, headers=headers, json=json, data=form, timeout=timeout)
        except requests.RequestException as error:
            answer = Answer(NO_ANSWER, {}, _reason(error, timeout), time.perf_counter() - started, line)
        else:
            answer = Answer(
                response.status_code,
                response.headers,
                response.text,
                time.perf_counter() - started,
                line,
                tuple(response.raw.headers.getlist("Set-Cookie")),
                response.content,
                response,
            )
        self._heard(answer)
        return answer

    def told(self, field: str, status: int, method: str, path: str, body: Any = None) -> str:
        """As in `Client`; another answer raises NotYet."""
        answer = self.ask(method, path, json=body)
        given = answer.json()
        if answer.status != status:
            expected = str(status)
        elif not isinstance(given, dict) or field not in given:
            expected = f"JSON with {field!r}"
        else:
            return str(given[field])
        raise NotYet(
            did=answer.curl,
            expected=expected,
            got=str(answer),
            why="The checks come as customers, who must be able to sign in.",
            look="monolith/accounts",
        )


def curl(
    method: str,
    url: str,
    headers: Mapping[str, str],
    json: Any,
    form: Mapping[str, str] | None,
    *,
    token: str,
) -> str:
    """The request as a line for a shell; a token, which is long and soon stale, stands there as $TOKEN."""
    words = ["curl", "-i"]
    words += ["-X", method] if method != ("GET" if json is None and form is None else "POST") else []
    words.append(shlex.quote(url))
    shown = dict(headers) | ({"Content-Type": "application/json"} if json is not None else {})
    for name, value in shown.items():
        hidden = bool(token) and value == f"Bearer {token}"
        words += ["-H", f'"{name}: Bearer $TOKEN"' if hidden else shlex.quote(f"{name}: {value}")]
    if json is not None:
        words += ["-d", shlex.quote(jsonlib.dumps(json))]
    for name, value in (form or {}).items():
        words += ["--data-urlencode", shlex.quote(f"{name}={value}")]
    return " ".join(words)


def _reason(error: requests.RequestException, timeout: float) -> str:
    if isinstance(error, requests.Timeout):
        return f"nothing came within {timeout:g} s"
    if isinstance(error, requests.ConnectionError):
        text = str(error).lower()
        return "the connection was refused" if "refused" in text else "the connection was lost"
    return f"the request failed ({type(error).__name__})"
