"""The `exercises` command: its group, and how every error is reported.

Exit statuses: 0 pass, 1 not yet, 2 a wrong argument or a mistake of the tool, 3 inconclusive. The commands are in
`commands/`. Their functions import what only they need, so that `status` and `hint` do not wait for the imports of
`check`.
"""

from __future__ import annotations

import errno
import os
import shutil
import sys
import tempfile
import traceback
from typing import NoReturn

import click

from exercises.commands import (
    check,
    copies,
    dev,
    doctor,
    learn,
    move,
    paper,
    room,
    run,
    shop,
    show,
    teach,
    text,
    ui,
)
from exercises.commands.interrupt import said, stop_at_the_first_signal
from exercises.commands.output import echo_error
from exercises.errors import ExerciseError, Exit

CLICKS_NARROWEST = 52
"""Without being told, click formats help for at least this width."""


def main() -> None:
    """Run the command; an error becomes one sentence and an exit status."""
    stop_at_the_first_signal()
    _remove_shop_settings()
    try:
        columns = shutil.get_terminal_size().columns
        narrow = {"terminal_width": columns} if columns < CLICKS_NARROWEST else {}
        cli(prog_name="exercises", standalone_mode=False, **narrow)
    except click.exceptions.Abort as error:  # click raises it for Ctrl-C, and for a question answered with no
        _exit("Stopped." if error.__cause__ else "Nothing was done.", Exit.INTERRUPTED)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except click.exceptions.Exit as stop:
        sys.exit(stop.exit_code)
    except KeyboardInterrupt:
        _exit("Stopped.", Exit.INTERRUPTED)
    except ExerciseError as error:
        _exit(str(error), error.status)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the reader closed the pipe
        sys.exit(Exit.PASS)
    except OSError as error:
        _exit(_describe_system_error(error), Exit.TOOL_ERROR)
    except Exception as error:  # noqa: BLE001 -- a learner gets one sentence; the traceback goes to a file
        _exit(_describe_tool_error(error), Exit.TOOL_ERROR)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def cli() -> None:
    """Take one component out of the shop, step by step.

    Begin with `exercises start`. You edit files in the workspace; `exercises check` says what your shop does and
    what it does not do yet. A command that overwrites your files copies them first: `exercises restore` lists the
    copies.
    """


for command in (
    learn.start,
    learn.status,
    learn.list_command,
    text.text,
    ui.ui,
    room.room,
    teach.teach,
    show.show,
    check.check,
    check.watch,
    learn.hint,
    learn.diff,
    learn.solution,
    move.next_command,
    move.jump,
    move.update,
    move.adopt,
    copies.reset,
    copies.save,
    copies.restore,
    shop.serve,
    run.run,
    shop.shop,
    shop.load,
    doctor.doctor,
    paper.handouts_command,
    paper.slides_command,
    dev.dev,
):
    cli.add_command(command)


def _remove_shop_settings() -> None:
    """Take SHOP_* settings out of the environment: the shops here get their own."""
    for name in [name for name in os.environ if name.startswith("SHOP_")]:
        del os.environ[name]


def _exit(text: str, status: int) -> NoReturn:
    echo_error(text)
    said.set()
    sys.exit(int(status))


def _describe_system_error(error: OSError) -> str:
    where = f" ({error.filename})" if error.filename else ""
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return f"The disk is full{where}. Free some space and run this again; nothing of yours is lost."
    if error.errno in {errno.EACCES, errno.EPERM, errno.EROFS}:
        return f"This may not be written{where}: {error.strerror}. Choose another place with --workspace."
    return f"The operating system reported an error{where}: {error.strerror or error}. Run exercises doctor."


def _describe_tool_error(error: Exception) -> str:
    with tempfile.NamedTemporaryFile("w", prefix="exercises-", suffix=".txt", delete=False) as file:
        file.write("".join(traceback.format_exception(error)))
    return (
        f"This is a mistake of the tool, not yours: {type(error).__name__}: {error}. Your files are unchanged; "
        f"send us this file, which has the details: {file.name}"
    )


if __name__ == "__main__":
    main()
