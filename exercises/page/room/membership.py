"""A learner's place in a room: joins, tells, and leaves. It is kept in a file of the workspace, so that the page and a
terminal have the same one, and that it outlives both.
"""

from __future__ import annotations

from contextlib import suppress
from http import HTTPStatus
from pathlib import Path
from urllib.parse import urlsplit

import requests
from pydantic import BaseModel, ConfigDict, ValidationError

from exercises import files
from exercises.errors import ExerciseError
from exercises.page.room.news import MAX_NICK, Feeling, Join, News, Welcome

FILE = "room.json"
PRIVATE = 0o600
TIMEOUT_SECONDS = 3.0
JOIN = "exercises ui --join http://ADDRESS:PORT --code CODE --name NAME"


class Membership(BaseModel):
    """A place in a room. `key` is the learner's alone."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    address: str
    key: str
    nick: str
    feeling: Feeling = ""
    """How it goes, as the learner said last."""

    def tell(self, news: News) -> bool:
        """Tell the room; False when it does not know this learner any more.

        Raises requests.RequestException, and ExerciseError with the room's sentence when it refuses.
        """
        answer = self._post("news", news.model_dump_json())
        if answer.status_code not in {HTTPStatus.OK, HTTPStatus.GONE}:
            raise ExerciseError(_sentence(answer, self.address))
        return answer.status_code == HTTPStatus.OK

    def leave(self) -> None:
        """Be forgotten. Raises requests.RequestException."""
        self._post("leave", "{}").raise_for_status()

    def _post(self, what: str, body: str) -> requests.Response:
        return _post(self.address, what, body, {"Authorization": f"Bearer {self.key}"})


def join(address: str, code: str, nick: str) -> Membership:
    """Go into the room at this address; ExerciseError when that is not possible."""
    parts = urlsplit(address)
    if parts.scheme not in {"http", "https"} or not parts.netloc:
        raise ExerciseError(f"{address} is no address of a room. Type: {JOIN}")
    if not 0 < len(nick) <= MAX_NICK:
        raise ExerciseError(f"A name in the room has 1 to {MAX_NICK} characters.")
    address = f"{parts.scheme}://{parts.netloc}"
    try:
        answer = _post(address, "join", Join(code=code[:40], nick=nick).model_dump_json(), {})
    except requests.RequestException:
        raise ExerciseError(f"No room answers at {address}. Ask your teacher for the address.") from None
    if answer.status_code != HTTPStatus.CREATED:
        raise ExerciseError(_sentence(answer, address))
    welcome = Welcome.model_validate_json(answer.content)
    return Membership(address=address, key=welcome.key, nick=welcome.nick)


def come_in(folder: Path, address: str, code: str, nick: str) -> Membership:
    """Join a room and store that in `folder`. A place that was stored there before is given up."""
    if before := stored(folder):
        with suppress(requests.RequestException):
            before.leave()
        forget(folder)
    membership = join(address, code, nick)
    store(folder, membership)
    return membership


def stored(folder: Path) -> Membership | None:
    """The place of the workspace whose data is in `folder`; None when it has none."""
    try:
        return Membership.model_validate_json(files.read(folder / FILE) or b"")
    except ValidationError:
        return None


def require(folder: Path) -> Membership:
    """The same; ExerciseError when there is none."""
    found = stored(folder)
    if found is None:
        raise ExerciseError(f"You are in no room. To come in, type: {JOIN}")
    return found


def store(folder: Path, membership: Membership) -> None:
    """Write it, for the learner's eyes only."""
    (folder / FILE).touch(PRIVATE)
    files.write(folder / FILE, membership.model_dump_json().encode())


def forget(folder: Path) -> None:
    """The workspace is in no room any more."""
    (folder / FILE).unlink(missing_ok=True)


def _post(address: str, what: str, body: str, headers: dict[str, str]) -> requests.Response:
    # Redirects would send the key elsewhere, and a proxy would see it.
    with requests.Session() as session:
        session.trust_env = False
        return session.post(
            f"{address}/room/{what}",
            data=body.encode(),
            headers={"Content-Type": "application/json", **headers},
            timeout=TIMEOUT_SECONDS,
            allow_redirects=False,
        )


def _sentence(answer: requests.Response, address: str) -> str:
    try:
        return str(answer.json()["says"])
    except (ValueError, KeyError, TypeError):
        return f"{address} is no room of this workshop (it answered {answer.status_code})."
