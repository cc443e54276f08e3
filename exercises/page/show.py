"""The page of the two reference shops beside each other: both maps, both tables, and one load for both."""

from __future__ import annotations

import hashlib
from typing import Any

from flask import Blueprint, Flask, Response, current_app, jsonify, render_template, request
from werkzeug.wrappers import Response as Answer

from exercises.checks import load_run, reference
from exercises.page import live, traces
from exercises.page.app import DESK, REPORT_POLICY, back, bare
from exercises.page.desk import LOAD, Commands
from exercises.page.serving import Made

SHOW = "show"
KINDS = tuple(reference.SHOPS)
routes = Blueprint("page", __name__)


class ShowDesk(Commands):
    """Both shops, which a command of their own keeps open."""

    def __init__(self, *, traced: bool = False) -> None:
        super().__init__({})
        self.traced = traced
        self.meters = {kind: live.Meters() for kind in KINDS}

    def open(self) -> None:
        """Open both; they close with the page."""
        self.start(SHOW, "show", "--shops-only", *(["--traces"] if self.traced else []))

    @property
    def loading(self) -> bool:
        """Whether visitors come."""
        return any(self.programs.is_running(f"{LOAD} {kind}") for kind in KINDS)

    def now(self) -> dict[str, Any]:
        """What the page asks for every second."""
        parts = (self.notices, self.loading, [reference.find(kind) is not None for kind in KINDS])
        return {"version": hashlib.sha256(repr(parts).encode()).hexdigest()[:16], "running": False}


def of_reference_shops(traced: bool = False) -> Made:
    """The page, to be served; the shops are opened meanwhile."""
    desk = ShowDesk(traced=traced)
    desk.open()
    return create_show(desk).wsgi_app, desk.close


def create_show(desk: ShowDesk) -> Flask:
    """The application."""
    app = bare(desk)
    app.register_blueprint(routes)
    return app


@routes.get("/")
def page() -> str:
    """The whole page."""
    desk = _desk()
    return render_template(
        "show.html", kinds=KINDS, version=desk.now()["version"], traced=desk.traced, **_load()
    )


@routes.get("/state")
def state() -> Response:
    """Whether there is something new."""
    return jsonify(_desk().now())


@routes.get("/panel/<name>")
def panel(name: str) -> str:
    """The message, the form of the load, or one shop."""
    desk = _desk()
    if name == "notice":
        return render_template("notice.html", notice=desk.notice)
    if name == LOAD:
        return render_template("load.html", **_load())
    kind = live.one_of(name, KINDS)
    shop = reference.find(kind)
    shown = live.shown(shop, desk.meters[kind], request.args.get("of", "")) if shop else {"shop": None}
    return render_template("shop.html", kind=kind, opening=desk.programs.is_running(SHOW), **shown)


@routes.get("/load")
def load_points() -> Response:
    """What the visitors of both shops notice: of the split, and of the monolith to compare."""
    split, monolith = (load_run.points(reference.load_folder(kind) / load_run.POINTS) for kind in KINDS[::-1])
    return jsonify(points=split, earlier=monolith)


@routes.get("/traces")
def newest_traces() -> str:
    """The newest request of each kind in both shops."""
    return render_template("traces.html", kinds=traces.kinds(reference.home()))


@routes.get("/trace")
def trace() -> Response:
    """One request or two, followed through their shops; a page of its own, like a report."""
    page = traces.page(reference.home(), request.args.getlist("id")[:2])
    return Response(page, headers={"Content-Security-Policy": REPORT_POLICY}, mimetype="text/html")


@routes.post("/shop/open")
def open_shops() -> Answer:
    """Run `exercises show --shops-only`."""
    _desk().open()
    return back("load")


@routes.post("/shop/<kind>/<what>")
def steer(kind: str, what: str) -> Answer:
    """Run `exercises shop --of` with one of its commands."""
    shop = reference.require(live.one_of(kind, KINDS))
    _desk().steer(("--of", kind), live.steering(shop, what, request.form))
    return back(kind)


@routes.post("/load")
def load() -> Answer:
    """Run `exercises load` for both at the same time."""
    for kind in KINDS:
        _desk().start(f"{LOAD} {kind}", "load", "--of", kind, *live.loading(request.form))
    return back("load")


@routes.post("/load/stop")
def stop_load() -> Answer:
    """End both."""
    for kind in KINDS:
        _desk().programs.stop(f"{LOAD} {kind}")
    return back("load")


@routes.post("/dismiss")
def dismiss() -> Answer:
    """Close the message."""
    _desk().dismiss()
    return back("load")


def _load() -> dict[str, Any]:
    desk = _desk()
    return {
        "shop": all(reference.find(kind) for kind in KINDS),
        "loading": desk.loading,
        "opening": desk.programs.is_running(SHOW),
        "loads": live.LOADS,
        "personas": live.PERSONAS,
        "notice": desk.notice,
        "both": True,
    }


def _desk() -> ShowDesk:
    desk: ShowDesk = current_app.extensions[DESK]
    return desk
