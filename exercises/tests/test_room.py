"""The teacher's room: who comes in, what it hears and shows, and what it forgets."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import requests
from pydantic import ValidationError
from werkzeug.test import Client, TestResponse

from exercises.course.course import Course
from exercises.errors import ExerciseError
from exercises.page.room import membership
from exercises.page.room.app import Room, create_room
from exercises.page.room.door import CALLS, WRONG_CODES, Code, Door, Limit, new_code
from exercises.page.room.membership import Membership, come_in, join, stored
from exercises.page.room.news import MAX_NICK, News
from exercises.page.room.register import AWAY_SECONDS, MAX_PEOPLE, Register, RoomFull
from exercises.page.room.teller import Teller, where
from exercises.tests.learner import in_this_process
from exercises.workspaces.workspace import Workspace

PORT, TOKEN, CODE = 4711, "a-token", "ABCD-2345"
HOST = f"127.0.0.1:{PORT}"
NEWS = News(step="01-hello", task="greet", tasks=2, passed=0, result="not yet", failing=("says-hello",))
ADA = Membership(address="http://127.0.0.1:1", key="key", nick="Ada")
EVIL = "<script>alert('x')</script>"


@dataclass
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Class:
    """A room with its door: what learners tell, and what the teacher sees."""

    client: Client
    clock: Clock
    keys: list[str] = field(default_factory=list)

    def tell(self, what: str, content: Any, **headers: str) -> TestResponse:
        return self.client.post(
            f"/room/{what}",
            data=content if isinstance(content, str) else json.dumps(content),
            headers={"Content-Type": "application/json", **headers},
            environ_overrides={"REMOTE_ADDR": headers.get("X-From", "10.0.0.7")},
        )

    def come_in(self, nick: str) -> str:
        answer = self.tell(
            "join", {"code": CODE, "nick": nick}, **{"X-From": f"10.0.1.{len(self.keys) % 250}"}
        )
        assert answer.status_code == 201, answer.text
        self.keys.append(answer.get_json()["key"])
        return self.keys[-1]

    def news(self, key: str, news: News = NEWS) -> int:
        return self.tell("news", news.model_dump_json(), Authorization=f"Bearer {key}").status_code

    def sees(self) -> str:
        answer = self.client.get(
            f"/{TOKEN}/panel/people", headers={"Host": HOST}, environ_overrides={"REMOTE_ADDR": "127.0.0.1"}
        )
        assert answer.status_code == 200, answer.text
        return answer.text

    def presses(self, path: str, **fields: str) -> int:
        headers = {"Host": HOST, "Origin": f"http://{HOST}"}
        local = {"REMOTE_ADDR": "127.0.0.1"}
        return self.client.post(
            f"/{TOKEN}/{path}", data=fields, headers=headers, environ_overrides=local
        ).status_code


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def room(tmp_path: Path, course: Course, clock: Clock) -> Iterator[Class]:
    register = Register(tmp_path / "room.sqlite3", clock)
    app = create_room(Room(register, Code(CODE, clock), course, "http://10.0.0.1:8700"))
    yield Class(Client(Door(app.wsgi_app, PORT, TOKEN)), clock)
    register.close()


def test_the_teacher_sees_who_is_where_for_how_long_and_what_stops_them(room: Class) -> None:
    room.news(room.come_in("Ada"))
    room.clock.now += 300
    room.news(room.keys[0])
    shown = room.sees()
    assert "Ada" in shown
    assert "5 min" in shown
    assert "says-hello" in shown
    assert "0 of 2" in shown


def test_who_is_stuck_comes_first_and_is_said(room: Class) -> None:
    for nick in ("Ada", "Grace"):
        room.news(room.come_in(nick))
    room.news(room.keys[1], NEWS.model_copy(update={"feeling": "stuck"}))
    shown = room.sees()
    assert shown.index("Grace") < shown.index("Ada")
    assert "2 here. Grace: stuck." in shown


def test_the_time_at_a_task_begins_again_with_the_next_task(room: Class) -> None:
    room.news(room.come_in("Ada"))
    room.clock.now += 600
    room.news(room.keys[0], NEWS.model_copy(update={"task": "name", "passed": 1}))
    assert "just now" in room.sees()
    assert "10 min" not in room.sees()


def test_somebody_who_is_quiet_for_a_minute_is_away(room: Class) -> None:
    room.news(room.come_in("Ada"))
    room.clock.now += AWAY_SECONDS + 1
    assert ">away<" in room.sees()
    room.news(room.keys[0])
    assert ">away<" not in room.sees()


def test_obstacles_count_people_and_not_checks(tmp_path: Path) -> None:
    register = Register(tmp_path / "room.sqlite3")
    keys = [register.join(nick)[0] for nick in ("Ada", "Grace", "Alan")]
    for key in keys:
        for _ in range(3):
            register.hear(key, NEWS)
    register.hear(keys[0], NEWS.model_copy(update={"failing": ("says-a-name",)}))
    found = [(each.check, each.now, each.ever) for each in register.obstacles(5)]
    assert found == [("says-hello", 2, 3), ("says-a-name", 1, 1)]
    register.close()


def test_two_people_of_one_name_are_told_apart(room: Class) -> None:
    names = []
    for _ in range(3):
        answer = room.tell("join", {"code": CODE, "nick": "A" * MAX_NICK})
        names.append(answer.get_json()["nick"])
    assert len(set(names)) == 3
    assert all(len(name) <= MAX_NICK for name in names)


def test_a_name_is_never_markup(room: Class) -> None:
    room.news(room.come_in(EVIL[:MAX_NICK]))
    assert "<script>" not in room.sees()
    assert "&lt;script&gt;" in room.sees()


def test_whoever_leaves_is_forgotten_with_everything(room: Class, tmp_path: Path) -> None:
    key = room.come_in("Ada")
    room.news(key)
    assert room.tell("leave", {}, Authorization=f"Bearer {key}").status_code == 200
    assert "Ada" not in room.sees()
    assert "says-hello" not in room.sees()
    assert room.news(key) == 410


def test_the_teacher_can_forget_one_and_everybody(room: Class) -> None:
    for nick in ("Ada", "Grace"):
        room.news(room.come_in(nick))
    assert room.presses("forget", nick="Ada") == 303
    assert "Ada" not in room.sees()
    assert "Grace" in room.sees()
    room.presses("forget", all="yes")
    assert "Nobody is here yet" in room.sees()


def test_a_room_opens_again_with_its_people(tmp_path: Path) -> None:
    register = Register(tmp_path / "room.sqlite3")
    key, _ = register.join("Ada")
    register.close()
    again = Register(tmp_path / "room.sqlite3")
    assert again.hear(key, NEWS)
    assert [each.nick for each in again.people()] == ["Ada"]
    assert key not in (tmp_path / "room.sqlite3").read_bytes().decode(errors="replace")
    again.close()


def test_a_file_that_cannot_hold_a_room_is_said_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("not a database, and long enough to be no empty one" * 30)
    with pytest.raises(ExerciseError, match="cannot hold the room"):
        Register(tmp_path / "notes.txt")


def test_a_full_room_lets_nobody_in(tmp_path: Path) -> None:
    register = Register(tmp_path / "room.sqlite3")
    for number in range(MAX_PEOPLE):
        register.join(f"P{number}")
    with pytest.raises(RoomFull):
        register.join("one more")
    register.close()


def test_a_full_disk_is_said_to_both_and_what_was_told_stays(tmp_path: Path, course: Course) -> None:
    register = Register(tmp_path / "room.sqlite3")
    room = Class(
        Client(Door(create_room(Room(register, Code(CODE), course, "")).wsgi_app, PORT, TOKEN)), Clock()
    )
    key = room.come_in("Ada")
    register._db.execute("PRAGMA max_page_count = 1")  # SQLite reports it as it reports a full disk
    statuses = {room.tell("join", {"code": CODE, "nick": f"P{n}" * 8}).status_code for n in range(80)}
    assert statuses == {201, 409}
    shown = room.sees()
    assert "The room cannot write its file (database or disk is full)" in shown
    assert "Ada" in shown
    register._db.execute("PRAGMA max_page_count = 1000")
    assert room.news(key) == 200
    assert "cannot write" not in room.sees()
    register.close()


# ---- the door


def test_without_the_code_nobody_comes_in(room: Class) -> None:
    assert room.tell("join", {"code": "WRNG-CODE", "nick": "Eve"}).status_code == 403
    assert room.news("no-key") == 410


def test_the_code_may_be_typed_in_small_letters_and_without_its_dash(room: Class) -> None:
    assert room.tell("join", {"code": "abcd 2345", "nick": "Ada"}).status_code == 201


def test_after_too_many_wrong_codes_the_right_one_waits_too(room: Class) -> None:
    for number in range(WRONG_CODES):
        headers = {"X-From": f"10.1.0.{number}"}
        assert room.tell("join", {"code": f"X{number}", "nick": "Eve"}, **headers).status_code == 403
    assert room.tell("join", {"code": CODE, "nick": "Eve"}).status_code == 429
    room.clock.now += 61
    assert room.tell("join", {"code": CODE, "nick": "Ada"}).status_code == 201


def test_a_flood_from_one_address_does_not_keep_others_out(room: Class) -> None:
    statuses = [room.tell("news", "{}").status_code for _ in range(CALLS + 5)]
    assert statuses[-1] == 429
    assert room.tell("join", {"code": CODE, "nick": "Ada"}, **{"X-From": "10.9.9.9"}).status_code == 201


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        ({"Origin": "http://evil.example"}, "{}", 403),
        ({"Content-Type": "text/plain"}, "{}", 403),
        ({"Content-Type": "application/x-www-form-urlencoded"}, "code=x", 403),
        ({}, '{"code": "' + "x" * 5000 + '"}', 413),
        ({}, "not json", 409),
        ({}, '{"code": "x", "nick": "y", "more": 1}', 409),
        ({}, '{"code": "x", "nick": "' + "y" * 25 + '"}', 409),
    ],
)
def test_what_is_no_message_of_a_learners_page_is_refused(
    room: Class, headers: dict[str, str], body: str, status: int
) -> None:
    assert room.tell("join", body, **headers).status_code == status


def test_the_teachers_page_is_for_this_machine_and_its_secret_address(room: Class) -> None:
    def ask(path: str, address: str, host: str = HOST) -> int:
        local = {"REMOTE_ADDR": address}
        return room.client.get(path, headers={"Host": host}, environ_overrides=local).status_code

    assert ask(f"/{TOKEN}/", "127.0.0.1") == 200
    assert ask(f"/{TOKEN}/", "10.0.0.7") == 404
    assert ask("/wrong/", "127.0.0.1") == 404
    assert ask(f"/{TOKEN}/", "127.0.0.1", host="evil.example") == 403


def test_a_foreign_page_cannot_press_the_teachers_buttons(room: Class) -> None:
    room.news(room.come_in("Ada"))
    answer = room.client.post(
        f"/{TOKEN}/forget",
        data={"all": "yes"},
        headers={"Host": HOST, "Origin": "http://evil.example"},
        environ_overrides={"REMOTE_ADDR": "127.0.0.1"},
    )
    assert answer.status_code == 403
    assert "Ada" in room.sees()


def test_codes_have_no_letters_that_look_alike() -> None:
    codes = {new_code() for _ in range(200)}
    assert len(codes) == 200
    assert not set("".join(codes)) & set("01OIL")


def test_a_limit_forgets_old_addresses() -> None:
    clock = Clock()
    limit = Limit(1, 10, clock)
    assert not limit.exceeded("a")
    assert limit.exceeded("a")
    clock.now += 11
    assert not limit.exceeded("a")


# ---- the learner's side


def test_news_say_where_a_workspace_is(workspace: Workspace) -> None:
    news = where(workspace)
    assert news.step == workspace.step.label
    assert news.result == "not checked"
    assert (news.passed, news.tasks) == (0, len(workspace.step.manifest.tasks))


@pytest.mark.parametrize(
    "extra", [{"code_of_learner": "x"}, {"task": "../etc"}, {"feeling": "bored"}, {"passed": -1}]
)
def test_news_have_no_room_for_anything_else(extra: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        News.model_validate({**NEWS.model_dump(), **extra})


def test_a_room_that_does_not_answer_is_said_and_asked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers: Iterator[bool | Exception] = iter([requests.ConnectionError(), True, False])
    heard: list[News] = []

    def tell(_self: Membership, news: News) -> bool:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        heard.append(news)
        return answer

    monkeypatch.setattr(Membership, "tell", tell)
    teller = Teller(tmp_path, lambda: NEWS)
    assert not teller._tell(ADA, NEWS)
    assert "does not answer" in teller.trouble
    assert teller._tell(ADA, NEWS)
    assert teller.trouble == ""
    assert not teller._tell(ADA, NEWS)
    assert "has forgotten you" in teller.trouble
    assert heard == [NEWS, NEWS]
    membership.store(tmp_path, ADA)
    assert teller._look(None) is None, "it is not asked again with a key that it does not know"
    assert "has forgotten you" in teller.trouble
    membership.forget(tmp_path)
    assert teller._look(None) is None
    assert teller.trouble == ""


@pytest.fixture
def through_the_door(room: Class, monkeypatch: pytest.MonkeyPatch) -> Class:
    """What a learner's programs send reaches the room without a network."""

    def post(_address: str, what: str, body: str, headers: dict[str, str]) -> requests.Response:
        told = room.tell(what, body, **headers)
        answer = requests.Response()
        answer.status_code, answer._content = told.status_code, told.data
        return answer

    monkeypatch.setattr(membership, "_post", post)
    return room


def test_a_learner_in_a_terminal_is_stuck_done_and_gone(
    through_the_door: Class, workspace: Workspace
) -> None:
    def type_in(*words: str) -> tuple[int, str, str]:
        settings = {
            "EXERCISES_WORKSPACE": str(workspace.root),
            "EXERCISES_COURSE": str(workspace.course.folder),
        }
        return in_this_process(("room", *words), settings)

    status, _, err = type_in("stuck")
    assert status == 2
    assert "You are in no room. To come in, type: exercises ui --join" in err

    come_in(workspace.data_dir, "http://10.0.0.1:8700", CODE, "Ada")
    assert type_in("stuck")[:2] == (0, "Your teacher sees that you are stuck.\n")
    assert "1 here. Ada: stuck." in through_the_door.sees()
    assert "You are Ada in the room at http://10.0.0.1:8700; it hears that you are stuck." in type_in()[1]
    assert type_in("done")[:2] == (0, "Your teacher sees that you are done.\n")
    assert 'data-feeling="done"' in through_the_door.sees()
    assert type_in("done")[:2] == (0, "Your teacher sees that you are not done any more.\n")
    assert "data-feeling" not in through_the_door.sees()
    assert type_in("leave")[0] == 0
    assert "Ada" not in through_the_door.sees()
    assert type_in("leave")[0] == 2


def test_a_room_that_forgot_a_learner_says_so_in_a_terminal(
    through_the_door: Class, workspace: Workspace
) -> None:
    come_in(workspace.data_dir, "http://10.0.0.1:8700", CODE, "Ada")
    through_the_door.presses("forget", nick="Ada")
    settings = {
        "EXERCISES_WORKSPACE": str(workspace.root),
        "EXERCISES_COURSE": str(workspace.course.folder),
    }
    status, _, err = in_this_process(("room", "stuck"), settings)
    assert status == 2
    assert "has forgotten you" in err


def test_to_come_in_again_takes_the_same_place(through_the_door: Class, workspace: Workspace) -> None:
    for _ in range(2):
        assert come_in(workspace.data_dir, "http://10.0.0.1:8700", CODE, "Ada").nick == "Ada"
    assert through_the_door.sees().count('scope="row"') == 1


def test_the_key_of_a_learner_is_for_the_learner_only(tmp_path: Path) -> None:
    membership.store(tmp_path, ADA)
    assert (tmp_path / membership.FILE).stat().st_mode & 0o077 == 0
    assert stored(tmp_path) == ADA
    (tmp_path / membership.FILE).write_text("{")
    assert stored(tmp_path) is None


@pytest.mark.parametrize(
    ("address", "name", "sentence"),
    [
        ("10.0.0.1:8700", "Ada", "is no address of a room"),
        ("http://127.0.0.1:9", "", "A name in the room has"),
        ("http://127.0.0.1:9", "Ada", "No room answers"),
    ],
)
def test_a_room_that_cannot_be_joined_is_said_in_one_sentence(address: str, name: str, sentence: str) -> None:
    with pytest.raises(ExerciseError, match=sentence):
        join(address, CODE, name)
