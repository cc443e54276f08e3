"""A learner's side of the room: joins, tells where the learner is when that changes, and leaves."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import urlsplit

import requests

from exercises.errors import ExerciseError
from exercises.page.room.news import MAX_FAILING, MAX_NICK, Feeling, Join, News, Result, Welcome
from exercises.workspaces import last_check
from exercises.workspaces.workspace import Workspace

LOOK_SECONDS = 1.0
STILL_HERE_SECONDS = 15.0
"""So often the room hears of somebody of whom there is nothing new."""
TIMEOUT_SECONDS = 3.0
JOIN = "exercises ui --join http://ADDRESS:PORT --code CODE --name NAME"


@dataclass(frozen=True, slots=True)
class Membership:
    """A place in a room. `key` is the learner's alone."""

    address: str
    key: str
    nick: str

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
    return Membership(address, welcome.key, welcome.nick)


class Teller:
    """Tells the room from a thread of its own, so that a slow room delays nothing."""

    def __init__(self, membership: Membership, news: Callable[[], News]) -> None:
        self.membership = membership
        self.feeling: Feeling = ""
        self.trouble = ""
        """A sentence for the learner when the room does not hear; empty when it does."""
        self._news = news
        self._new = threading.Event()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="room", daemon=True)

    def start(self) -> None:
        """Begin to tell."""
        self._thread.start()

    def feel(self, feeling: Feeling) -> None:
        """Tell how it goes; the same again takes it back."""
        self.feeling = "" if feeling == self.feeling else feeling
        self._new.set()

    def leave(self) -> None:
        """Stop telling and be forgotten; ExerciseError when the room cannot be reached."""
        self.close()
        try:
            self.membership.leave()
        except requests.RequestException:
            raise ExerciseError(
                "The room does not answer, so it could not forget you. It hears nothing more of you."
            ) from None

    def close(self) -> None:
        """Stop telling."""
        self._ended.set()
        self._new.set()
        if self._thread.is_alive():
            self._thread.join(TIMEOUT_SECONDS + LOOK_SECONDS)

    def _run(self) -> None:
        told: News | None = None
        quiet = 0.0
        while not self._ended.is_set():
            now = self._look(told)
            if now is not None and (now != told or quiet >= STILL_HERE_SECONDS):
                told, quiet = (now, 0.0) if self._tell(now) else (None, 0.0)
            self._new.wait(LOOK_SECONDS)
            self._new.clear()
            quiet += LOOK_SECONDS

    def _look(self, told: News | None) -> News | None:
        try:
            return self._news().model_copy(update={"feeling": self.feeling})
        except (ExerciseError, OSError):
            return told  # the course is being updated, or the disk is full: the page says so

    def _tell(self, news: News) -> bool:
        try:
            known = self.membership.tell(news)
        except requests.RequestException:
            self.trouble = "The room does not answer. It is asked again."
            return False
        except ExerciseError as refusal:
            self.trouble = str(refusal)
            return False
        if not known:
            self.trouble = "The room has forgotten you. To come in again, start exercises ui with --join."
            self._ended.set()
            return False
        self.trouble = ""
        return True


def where(workspace: Workspace) -> News:
    """Where the learner of this workspace is, from the files that `status` reads."""
    step = workspace.step
    last = last_check.last_check(workspace, step)
    results = [last_check.task_result(task.checks, last) for task in step.manifest.tasks]
    failing = [check for task in step.manifest.tasks for check in task.checks if last.get(check) == "not yet"]
    return News(
        step=step.label,
        task=last_check.open_task(workspace, step),
        tasks=len(results),
        passed=results.count("pass"),
        result=_worst(results),
        failing=tuple(failing[:MAX_FAILING]),
    )


def _worst(results: list[str]) -> Result:
    order: tuple[Result, ...] = ("tool error", "not yet", "inconclusive", "not run", "not checked", "pass")
    return next((each for each in order if each in results), "pass")


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
