"""The page's routes: the page, its panels as pieces of HTML, and the buttons, each of which is one command."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from flask import Flask, Response, jsonify, redirect, render_template, request, url_for

from exercises.errors import ExerciseError
from exercises.page import diffs, runs, texts, views
from exercises.page.desk import Desk
from exercises.page.guard import MAX_BODY_BYTES
from exercises.workspaces import differences
from exercises.workspaces.differences import Comparison

PANELS = ("text", "tasks", "differences", "hints", "results")
COMPARISONS: dict[str, Callable[[views.Board], Comparison]] = {
    "mine": lambda found: differences.mine(found.workspace),
    "step": lambda found: differences.brought(found.workspace.course, found.step),
    "next": lambda found: differences.coming(found.workspace.course, found.step),
    "solution": lambda found: differences.to_solution(found.workspace),
}
REPORT_POLICY = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'none'"
"""A report is a page of its own, with its style and its pictures inside. It runs no script and loads nothing."""


def create_app(desk: Desk) -> Flask:
    """The application for one workspace."""
    app = Flask(__name__)
    app.config.update(MAX_CONTENT_LENGTH=MAX_BODY_BYTES, SEND_FILE_MAX_AGE_DEFAULT=3600)
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.jinja_env.filters["markdown"] = texts.render
    app.jinja_env.globals["code_block"] = texts.code_block

    @app.after_request
    def nothing_is_kept(response: Response) -> Response:
        if request.endpoint != "static":
            response.headers["Cache-Control"] = "no-store"
        return response

    @app.errorhandler(ExerciseError)
    def one_sentence(error: ExerciseError) -> tuple[str, HTTPStatus]:
        return render_template("sorry.html", sentence=str(error)), HTTPStatus.CONFLICT

    @app.get("/")
    def page() -> str:
        shown = {**_shared(desk), "version": desk.version()}
        return render_template("page.html", panels=PANELS, **_text(shown["board"]), **shown)

    @app.get("/state")
    def state() -> Response:
        return jsonify(version=desk.version())

    @app.get("/panel/<name>")
    def panel(name: str) -> tuple[str, HTTPStatus] | str:
        if name not in {"head", "notice", *PANELS}:
            raise ExerciseError(f"There is no panel {name}.")
        shown = _shared(desk)
        if name == "text":
            shown |= _text(shown["board"])
        if name == "hints":
            shown["ladders"] = list(views.ladders(shown["board"]))
        if name == "differences":
            shown |= _differences(shown["board"])
        if name == "results":
            shown["runs"] = runs.runs(shown["board"].workspace.root)
        return render_template(f"{name}.html", **shown)

    @app.get("/runs/<name>/report")
    def report(name: str) -> Response:
        page = runs.report(desk.workspace().root, name)
        return Response(page, headers={"Content-Security-Policy": REPORT_POLICY}, mimetype="text/html")

    @app.post("/check")
    def check() -> Any:
        words = [name for name in ("--quick",) if request.form.get("quick")]
        if task := request.form.get("task"):
            words += ["--only", _one_of(task, [each.id for each in views.board(desk).tasks])]
        desk.check(*words)
        return _back()

    @app.post("/stop")
    def stop() -> Any:
        desk.programs.stop_check()
        return _back()

    @app.post("/hint")
    def hint() -> Any:
        task = _one_of(request.form.get("task", ""), [each.id for each in views.board(desk).tasks])
        done = desk.programs.run("hint", task)
        if done.status:
            desk.show(done)
        else:
            desk.dismiss()
        return _back("hints")

    @app.post("/next")
    def go_on() -> Any:
        desk.do("next")
        return _back("text")

    @app.post("/save")
    def save() -> Any:
        desk.do("save", "saved on the page")
        return _back()

    @app.post("/dismiss")
    def dismiss() -> Any:
        desk.dismiss()
        return _back()

    def _back(panel: str = "tasks") -> Any:
        """Without a script the browser loads the page again; with it, the panels."""
        if request.headers.get("X-Requested-With") == "page":
            return "", HTTPStatus.NO_CONTENT
        return redirect(url_for("page", _anchor=panel), HTTPStatus.SEE_OTHER)

    return app


def _shared(desk: Desk) -> dict[str, Any]:
    return {"board": views.board(desk), "notice": desk.notice, "runs_now": views.RUNS}


def _text(found: views.Board) -> dict[str, Any]:
    return {"text": found.step.file("README.md").read_text(encoding="utf-8")}


def _differences(found: views.Board) -> dict[str, Any]:
    what = _one_of(request.args.get("what", "mine"), list(COMPARISONS))
    asked = what == "solution" and not request.args.get("yes")
    last = what == "next" and found.following is None
    files = [] if asked or last else list(diffs.file_diffs(COMPARISONS[what](found)))
    return {"what": what, "asked": asked, "last": last, "files": files}


def _one_of(word: str, known: list[str]) -> str:
    if word not in known:
        raise ExerciseError(f"There is no {word[:40]!r} here; there are {', '.join(known)}.")
    return word
