"""Publishes a run: its report, numbers and texts in a folder of this repository, without the raw files."""

import shutil
from pathlib import Path

from loadtests.report.files import write_report
from loadtests.running.folder import RunError

KEPT = ("run.json", "results.json", "summary.md", "report.html")
TEXTS = "experiments"


def publish(run: Path, folder: Path) -> None:
    """Make the report of a run again and copy it to `folder`, which it replaces; RunError when it cannot be quoted.

    Quoted are whole runs of this project's own shops. The folder of another shop may hold names that are nobody's
    business.
    """
    notes = write_report(run).notes
    if notes["stopped_early"]:
        raise RunError(f"{run} was stopped early. Finish it with: loadtests run --resume {run}")
    if notes["shops"]:
        raise RunError(f"{run} measured other shops than this project's own, so it cannot be published here.")
    if folder.exists() and not (folder / "run.json").exists():
        raise RunError(f"{folder} holds something else than a published run. Name another folder.")
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(run / TEXTS, folder / TEXTS)
    for name in KEPT:
        shutil.copy2(run / name, folder / name)
