"""The page's routes: the page, its panels as pieces of HTML, and the buttons, each of which is one command."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path
from typing import Any

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
from werkzeug.wrappers import Response as Answer

from exercises.errors import ExerciseError
from exercises.page import diffs, live, runs, texts, views
from exercises.page.desk import CHECK, LOAD, SERVE, Commands, Desk
from exercises.page.guard import MAX_BODY_BYTES, POLICY
from exercises.page.serving import Made
from exercises.workspaces import differences
from exercises.workspaces.differences import Comparison

DESK = "desk"
ASSET_SECONDS = 3600
Shown = dict[str, Any]
FEELINGS = ("stuck", "done")
PANELS = ("text", "tasks", "differences", "hints", "shop", "load", "results")
COMPARISONS: dict[str, Callable[[views.Board], Comparison]] = {
    "mine": lambda found: differences.mine(found.workspace),
    "step": lambda found: differences.brought(found.workspace.course, found.step),
    "next": lambda found: differences.coming(found.workspace.course, found.step),
    "solution": lambda found: differences.to_solution(found.workspace),
}
REPORT_POLICY = (
    "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'"
)
"""A report is a page of its own, with its style and its pictures inside. It runs no script and loads nothing."""
BESIDE_POLICY = f"{POLICY}; frame-src 'self'"


routes = Blueprint("page", __name__)


def of_workspace(root: Path, course: Path) -> Made:
    """The page of a workspace, to be served. A teacher's room that the learner joined hears where the learner is."""
    desk = Desk(root, course)
    desk.teller.start()
    return create_app(desk).wsgi_app, desk.close


def create_app(desk: Desk) -> Flask:
    """The application for one workspace."""
    app = bare(desk)
    app.jinja_env.filters["markdown"] = texts.render
    app.jinja_env.globals["code_block"] = texts.code_block
    app.register_blueprint(routes)
    return app


def bare(desk: Commands) -> Flask:
    """What every page has: its limits, and one sentence for each error."""
    app = Flask(__name__)
    app.config.update(MAX_CONTENT_LENGTH=MAX_BODY_BYTES, SEND_FILE_MAX_AGE_DEFAULT=ASSET_SECONDS)
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.extensions[DESK] = desk
    app.register_error_handler(ExerciseError, _one_sentence)
    app.after_request(_not_kept)
    return app


# ---- what is shown


@routes.get("/")
def page() -> str:
    """The whole page, with the text and the tasks."""
    shown = _shared()
    return render_template(
        "page.html", panels=PANELS, version=_desk().now()["version"], **shown, **_text(shown)
    )


@routes.get("/state")
def state() -> Response:
    """Whether there is something new."""
    return jsonify(_desk().now())


@routes.get("/panel/<name>")
def panel(name: str) -> str:
    """One panel, as a piece of the page."""
    shown, more = _shared(), MORE.get(name)
    if more is None:
        raise ExerciseError(f"There is no panel {name[:40]}.")
    return render_template(f"{name}.html", **shown, **more(shown))


@routes.get("/load")
def load_points() -> Response:
    """What the charts of the load show."""
    return jsonify(_desk().load_points())


@routes.get("/runs/<name>/report")
def report(name: str) -> Response:
    """The lab's report of a run."""
    page = runs.report(_desk().workspace().root, name)
    return Response(page, headers={"Content-Security-Policy": REPORT_POLICY}, mimetype="text/html")


@routes.get("/runs/beside")
def beside() -> Response:
    """The reports of two runs beside each other."""
    root = _desk().workspace().root
    pair = [runs.with_report(root, request.args.get(which, "")) for which in ("before", "after")]
    page = render_template("beside.html", pair=pair, shared=runs.shared(*pair))
    return Response(page, headers={"Content-Security-Policy": BESIDE_POLICY})


# ---- what is done


@routes.post("/check")
def check() -> Answer:
    """Run `exercises check`, with --quick or --only."""
    words = ["--quick"] if request.form.get("quick") else []
    if task := request.form.get("task"):
        words += ["--only", _task(task)]
    _desk().start(CHECK, "check", *words)
    return back("tasks")


@routes.post("/stop")
def stop() -> Answer:
    """Do what Ctrl-C does to the check that was started here."""
    _desk().programs.stop(CHECK)
    return back("tasks")


@routes.post("/hint")
def hint() -> Answer:
    """Run `exercises hint`; the panel shows the hint."""
    _desk().do_quietly("hint", _task(request.form.get("task", "")))
    return back("hints")


@routes.post("/next")
def go_on() -> Answer:
    """Run `exercises next`."""
    _desk().do("next")
    return back("text")


@routes.post("/shop/open")
def open_shop() -> Answer:
    """Run `exercises serve` until it is closed."""
    _desk().start(SERVE, "serve")
    return back("shop")


@routes.post("/shop/<what>")
def steer(what: str) -> Answer:
    """Run `exercises shop` with one of its commands."""
    _desk().steer((), live.steering(_desk().shop(), what, request.form))
    return back("shop")


@routes.post("/load")
def load() -> Answer:
    """Run `exercises load`."""
    _desk().start(LOAD, "load", *live.loading(request.form))
    return back("load")


@routes.post("/load/stop")
def stop_load() -> Answer:
    """Do what Ctrl-C does to the load that was started here."""
    _desk().programs.stop(LOAD)
    return back("load")


@routes.post("/compare")
def compare() -> Answer:
    """Run `loadtests compare` for two runs of the lab."""
    _desk().compare(request.form.get("before", ""), request.form.get("after", ""))
    return back("results")


@routes.post("/room/leave")
def leave_room() -> Answer:
    """Run `exercises room leave`."""
    _desk().do("room", "leave")
    return back("tasks")


@routes.post("/room/<feeling>")
def feel(feeling: str) -> Answer:
    """Run `exercises room stuck` or `done`; the buttons show it."""
    _desk().do_quietly("room", live.one_of(feeling, FEELINGS))
    return back("tasks")


@routes.post("/dismiss")
def dismiss() -> Answer:
    """Close the message."""
    _desk().dismiss()
    return back("tasks")


def _desk() -> Desk:
    desk: Desk = current_app.extensions[DESK]
    return desk


def back(panel: str) -> Answer:
    """With the script the panels are asked for again; without it the browser loads the whole page."""
    if request.headers.get("X-Requested-With") == "page":
        return Response(status=HTTPStatus.NO_CONTENT)
    return redirect(url_for("page.page", _anchor=f"panel-{panel}"), HTTPStatus.SEE_OTHER)


def _one_sentence(error: ExerciseError) -> tuple[str, HTTPStatus]:
    return render_template("sorry.html", sentence=str(error)), HTTPStatus.CONFLICT


def _not_kept(response: Response) -> Response:
    """Only the page's own files may be kept by the browser, nothing of the learner's."""
    if request.endpoint != "static":
        response.headers["Cache-Control"] = "no-store"
    return response


def _shared() -> Shown:
    return {
        "board": views.board(_desk()),
        "notice": _desk().notice,
        "room": _desk().membership(),
        "trouble": _desk().teller.trouble,
        "runs_now": views.RUNS,
    }


def _text(shown: Shown) -> Shown:
    return {"text": shown["board"].step.file("README.md").read_text(encoding="utf-8")}


def _differences(shown: Shown) -> Shown:
    found: views.Board = shown["board"]
    what = live.one_of(request.args.get("what", "mine"), list(COMPARISONS))
    asked = what == "solution" and not request.args.get("yes")
    last = what == "next" and found.following is None
    files = [] if asked or last else list(diffs.file_diffs(COMPARISONS[what](found)))
    return {"what": what, "asked": asked, "last": last, "files": files}


def _shop(_: Shown) -> Shown:
    desk = _desk()
    shop = desk.open_shop()
    if shop is None:
        return {"shop": None, "opening": desk.programs.is_running(SERVE)}
    return live.shown(shop, desk.meters, request.args.get("of", ""))


MORE: dict[str, Callable[[Shown], Shown]] = {
    "head": lambda _: {},
    "notice": lambda _: {},
    "text": _text,
    "tasks": lambda _: {},
    "differences": _differences,
    "hints": lambda shown: {"ladders": list(views.ladders(shown["board"]))},
    "shop": _shop,
    "load": lambda _: {
        "shop": _desk().open_shop(),
        "loading": _desk().programs.is_running(LOAD),
        "loads": live.LOADS,
        "personas": live.PERSONAS,
    },
    "results": lambda shown: {
        "runs": runs.runs(shown["board"].workspace.root),
        "comparison": _desk().comparison,
    },
}
"""For each piece of the page, what it shows besides what all show."""


def _task(name: str) -> str:
    return live.one_of(name, [task.id for task in _desk().workspace().step.manifest.tasks])
