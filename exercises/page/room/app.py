"""The room's routes: the teacher's page, and what learners' pages may tell."""

from __future__ import annotations

from http import HTTPStatus
from pathlib import Path
from typing import Any, TypeVar

from flask import (
    Blueprint,
    Flask,
    Response,
    current_app,
    jsonify,
    redirect,
    render_template,
    request,
    url_for,
)
from pydantic import BaseModel, ValidationError
from werkzeug.wrappers import Response as Answer

from exercises.course.course import Course
from exercises.errors import ExerciseError
from exercises.page.guard import MAX_BODY_BYTES, Wsgi
from exercises.page.room.door import Code, Door
from exercises.page.room.news import Join, News, Welcome
from exercises.page.room.register import Person, Register
from exercises.page.serving import Made

ROOM = "room"
OBSTACLES = 8
MINUTE = 60
M = TypeVar("M", bound=BaseModel)
routes = Blueprint("page", __name__, template_folder="templates", static_folder=None)


class Room:
    """One room: its people, its code, the course, and the address that learners use."""

    def __init__(self, register: Register, code: Code, course: Course, address: str) -> None:
        self.register, self.code, self.course, self.address = register, code, course, address


def of_file(file: Path, course: Path, code: str, address: str) -> Made:
    """The room whose people are in `file`, to be served."""
    register = Register(file)
    room = Room(register, Code(code), Course(course), address)
    return create_room(room).wsgi_app, register.close


def behind_its_door(application: Wsgi, port: int, token: str) -> Wsgi:
    """What the server calls."""
    return Door(application, port, token)


def create_room(room: Room) -> Flask:
    """The application."""
    app = Flask("exercises.page")
    app.config.update(MAX_CONTENT_LENGTH=MAX_BODY_BYTES)
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.jinja_env.filters["minutes"] = _minutes
    app.extensions[ROOM] = room
    app.register_blueprint(routes)
    app.register_error_handler(ExerciseError, _one_sentence)
    app.after_request(_not_kept)
    return app


# ---- the teacher's page


@routes.get("/")
def page() -> str:
    """The whole page."""
    return render_template("room.html", version=_room().register.version, **_shown())


@routes.get("/state")
def state() -> Response:
    """Whether there is something new."""
    return jsonify(version=_room().register.version)


@routes.get("/panel/people")
def people() -> str:
    """Everybody, and what stops them, as a piece of the page."""
    return render_template("people.html", **_shown())


@routes.post("/forget")
def forget() -> Answer:
    """Forget one person, or everybody."""
    if nick := request.form.get("nick", ""):
        _room().register.forget(nick)
    elif request.form.get("all"):
        _room().register.empty()
    if request.headers.get("X-Requested-With") == "page":
        return Response(status=HTTPStatus.NO_CONTENT)
    return redirect(url_for("page.page"), HTTPStatus.SEE_OTHER)


# ---- what learners' pages tell


@routes.post("/room/join")
def join() -> tuple[Response, HTTPStatus]:
    """A learner comes in with the code; the answer has the key for everything later."""
    wanted, room = _read(Join), _room()
    right = room.code.is_right(wanted.code)
    if right is None:
        return _refusal("Too many wrong codes were tried; wait a minute.", HTTPStatus.TOO_MANY_REQUESTS)
    if not right:
        return _refusal("This is not the code of the room. Ask your teacher for it.", HTTPStatus.FORBIDDEN)
    key, nick = room.register.join(wanted.nick)
    return jsonify(Welcome(key=key, nick=nick).model_dump()), HTTPStatus.CREATED


@routes.post("/room/news")
def news() -> tuple[Response, HTTPStatus]:
    """Where a learner is now."""
    if not _room().register.hear(_key(), _read(News)):
        return _refusal("The room does not know you; join again.", HTTPStatus.GONE)
    return jsonify({}), HTTPStatus.OK


@routes.post("/room/leave")
def leave() -> tuple[Response, HTTPStatus]:
    """A learner leaves and is forgotten."""
    _room().register.leave(_key())
    return jsonify({}), HTTPStatus.OK


def _shown() -> dict[str, Any]:
    room = _room()
    found = room.register.people()
    present = [each for each in found if not each.away]
    return {
        "people": found,
        "steps": [
            (step, [each for each in present if each.step == step.label]) for step in room.course.steps
        ],
        "titles": {step.label: _titles(room.course, step.label) for step in room.course.steps},
        "obstacles": room.register.obstacles(OBSTACLES),
        "says": {step.label: _says(room.course, step.label) for step in room.course.steps},
        "summary": _summary(found),
        "trouble": room.register.trouble,
        "code": room.code.code,
        "address": room.address,
    }


def _titles(course: Course, label: str) -> dict[str, str]:
    return {task.id: task.title for task in course.step(label).manifest.tasks}


def _says(course: Course, label: str) -> dict[str, str]:
    """Check id to the title of its task."""
    return {check: task.title for task in course.step(label).manifest.tasks for check in task.checks}


def _summary(found: list[Person]) -> str:
    """For people who listen to the page."""
    stuck = [each.nick for each in found if each.feeling == "stuck" and not each.away]
    present = sum(not each.away for each in found)
    asks = f" {', '.join(stuck)}: stuck." if stuck else ""
    return f"{present} here.{asks}"


def _read(kind: type[M]) -> M:
    try:
        return kind.model_validate_json(request.get_data())
    except ValidationError as error:
        where = ".".join(str(part) for part in error.errors()[0]["loc"]) or "the message"
        raise ExerciseError(f"The room does not understand {where[:60]}; update the course.") from None


def _key() -> str:
    return request.headers.get("Authorization", "").removeprefix("Bearer ")


def _refusal(sentence: str, status: HTTPStatus) -> tuple[Response, HTTPStatus]:
    return jsonify(says=sentence), status


def _one_sentence(error: ExerciseError) -> tuple[Response, HTTPStatus]:
    return _refusal(str(error), HTTPStatus.CONFLICT)


def _not_kept(response: Response) -> Response:
    if request.endpoint != "static":
        response.headers["Cache-Control"] = "no-store"
    return response


def _minutes(seconds: float) -> str:
    minutes = int(seconds // MINUTE)
    return (
        "just now" if minutes == 0 else f"{minutes} min" if minutes < 2 * MINUTE else f"{minutes // MINUTE} h"
    )


def _room() -> Room:
    room: Room = current_app.extensions[ROOM]
    return room
