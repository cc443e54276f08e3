"""What a learner's page tells the room, and what the room answers. Everything else is refused."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,59}$")]
"""A step, a task or a check."""
Result = Literal["pass", "not yet", "inconclusive", "tool error", "not run", "not checked"]
Feeling = Literal["", "stuck", "done"]
MAX_NICK = 24
MAX_FAILING = 20


class Message(BaseModel):
    """The base of everything that is sent: nothing unknown is accepted."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Join(Message):
    """A learner comes in."""

    code: Annotated[str, Field(max_length=40)]
    nick: Annotated[str, Field(min_length=1, max_length=MAX_NICK)]


class News(Message):
    """Where a learner is: the step, the task that is next, and what the last check said. No code, no file, no path."""

    step: Name
    task: Name
    tasks: Annotated[int, Field(ge=1, le=20)]
    passed: Annotated[int, Field(ge=0, le=20)]
    """How many of the step's tasks pass."""
    result: Result
    failing: Annotated[tuple[Name, ...], Field(max_length=MAX_FAILING)] = ()
    """The checks of this step that say "not yet"."""
    feeling: Feeling = ""


class Welcome(Message):
    """The answer to Join: `key` is what the learner shows from now on, and `nick` how the room calls them."""

    key: str
    nick: str
