"""The commands for teachers' paper: handouts and slides."""

from __future__ import annotations

from pathlib import Path

import click

from exercises.commands.options import course_folder, json_option
from exercises.commands.output import Printer
from exercises.course.course import Course
from exercises.course.manifest import Track
from exercises.errors import ExerciseError
from exercises.paper.handouts import handouts
from exercises.paper.slides import slides, steps_of

to_option = click.option(
    "--to",
    "target",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The file to write (default: a name of its own in this folder).",
)


@click.command("handouts")
@click.argument("track", required=False, metavar="[TRACK]")
@to_option
@json_option
def handouts_command(track: str | None, target: Path | None, as_json: bool) -> None:
    """Write a page to print for each exercise, of TRACK or of the whole course."""
    course = Course(course_folder())
    steps = steps_of(course, _track(course, track)) if track else course.steps
    target = target or Path(f"handouts-{track}.html" if track else "handouts.html")
    target.write_text(handouts(course, steps), encoding="utf-8")
    _written(Printer(as_json=as_json), target, f"{len(steps)} pages, A4. Open it in a browser and print it.")


@click.command("slides")
@click.argument("track", metavar="TRACK")
@to_option
@json_option
def slides_command(track: str, target: Path | None, as_json: bool) -> None:
    """Write the slides of TRACK, with speaker's notes, as one page for the browser."""
    course = Course(course_folder())
    target = target or Path(f"slides-{track}.html")
    target.write_text(slides(course, _track(course, track)), encoding="utf-8")
    _written(
        Printer(as_json=as_json), target, "Open it in a browser: → goes on, ← goes back, N shows the notes."
    )


def _track(course: Course, name: str) -> Track:
    for track in course.workshop.tracks:
        if track.id == name:
            return track
    known = ", ".join(track.id for track in course.workshop.tracks)
    raise ExerciseError(f"There is no track {name!r}. There are {known}.")


def _written(printer: Printer, file: Path, what: str) -> None:
    printer.say(f"{file} is written: {what}")
    printer.data({"file": file})
