"""Which mutants are made: of Python, of a Caddyfile, of TOML and JSON, and only of the learner's own lines."""

from __future__ import annotations

import textwrap

import pytest

from exercises.authoring.mutation import caddyfile, python, settings
from exercises.authoring.mutation.edits import Kind
from exercises.authoring.mutation.mutants import difference, mutants_of, sample
from exercises.course.course import Course
from exercises.errors import ExerciseError
from exercises.tests.test_manifests import change

GREETING = "01-hello/solution/monolith/greeting.py"


def made(finder, text: str, own: set[int] | None = None) -> list[tuple[str, str]]:
    """Kind and new lines of each mutant; the removed lines when there are no new ones."""
    text = textwrap.dedent(text)
    own = own or set(range(1, text.count("\n") + 2))
    found = []
    for edit in finder(text, own):
        lines = difference(text, edit.apply(text)).splitlines()
        added = [line.removeprefix("+ ") for line in lines if line.startswith("+")]
        found.append((edit.kind.value, " / ".join(added or lines)))
    return found


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("send(x)\n", [("statement removed", "pass")]),
        ("self.x = y\n", [("statement removed", "pass")]),
        ("def f(n):\n    n = g(n)\n    return None\n", [("statement removed", "pass")]),
        ("if a:\n    pass\n", [("condition turned", "if not (a):")]),
        ("x = y\nprint(x if not a else b)\n", []),
        (
            "def f(b=[a for a in c if not a]): ...\n",
            [("condition turned", "def f(b=[a for a in c if a]): ...")],
        ),
        (
            "if a and b:\n    pass\n",
            [
                ("condition turned", "if not (a) and b:"),
                ("condition turned", "if a or b:"),
                ("condition turned", "if a and not (b):"),
            ],
        ),
        (
            "while a < b:\n    pass\n",
            [("condition turned", "while a <= b:"), ("condition turned", "while a >= b:")],
        ),
        ("if a is not None:\n    pass\n", [("condition turned", "if a is None:")]),
        ("if a not in b:\n    pass\n", [("condition turned", "if a in b:")]),
        ("for a in b:\n    pass\n", [("loop left out", "for a in ():")]),
        ("with lock:\n    pass\n", [("statement removed", "if True:")]),
        ("with lock as a:\n    pass\n", []),
        ("def f():\n    return a\n", [("return value replaced", "return None")]),
        ("def f():\n    return True\n", [("constant changed", "return False")]),
        (
            "def f(a=9, b=10): ...\n",
            [("constant changed", "def f(a=10, b=10): ..."), ("constant changed", "def f(a=9, b=20): ...")],
        ),
        ("def f(a=0.5): ...\n", [("constant changed", "def f(a=1.0): ...")]),
        (
            "def f(a='é', b=None): ...\n",
            [
                ("constant changed", 'def f(a="éx", b=None): ...'),
                ("constant changed", "def f(a='é', b=True): ..."),
            ],
        ),
        ("def f(a=b'x'): ...\n", [("constant changed", "def f(a=b'xx'): ...")]),
        ("def f(a=f'{b}'): ...\n", [("constant changed", 'def f(a=""): ...')]),
        (
            "def f(a=g('é', b, c=d)): ...\n",
            [
                ("constant changed", 'def f(a=g("éx", b, c=d)): ...'),
                ("argument left out", "def f(a=g('é', c=d)): ..."),
                ("argument left out", "def f(a=g('é', b)): ..."),
            ],
        ),
        ("def f(a=g(b, *c)): ...\n", []),
        ("def f(a=g(c=d,)): ...\n", [("argument left out", "def f(a=g()): ...")]),
        ("def f(a=g(expanding=True)): ...\n", []),
        (
            "def f(a=self.client.get(b, name='c')): ...\n",
            [("argument left out", "def f(a=self.client.get(b)): ...")],
        ),
        (
            "def f(a=open(encoding='utf-8')): ...\n",
            [("constant changed", 'def f(a=open(encoding="utf-8x")): ...')],
        ),
        (
            "def f(a={'b': c, 'd': e}): ...\n",
            [("key left out", "def f(a={'d': e}): ..."), ("key left out", "def f(a={'b': c}): ...")],
        ),
        (
            "def f(a=(g(), h())): ...\n",
            [("argument left out", "def f(a=(h(),)): ..."), ("argument left out", "def f(a=(g(),)): ...")],
        ),
        ("try:\n    pass\nexcept A:\n    pass\n", [("handler narrowed", "except ():")]),
        (
            "try:\n    pass\nexcept (A, B) as e:\n    pass\n",
            [("handler narrowed", "except B as e:"), ("handler narrowed", "except A as e:")],
        ),
        (
            "try:\n    pass\nexcept (A, B, C):\n    pass\n",
            [
                ("handler narrowed", "except (B, C):"),
                ("handler narrowed", "except (A, C):"),
                ("handler narrowed", "except (A, B):"),
            ],
        ),
        ("@a\ndef f(): ...\n", [("decorator removed", "- @a")]),
        ("def f():\n    raise A('Too much.', 'b')\n", [("statement removed", "pass")]),
        ("def f():\n    assert a, 'Too much.'\n", [("statement removed", "pass")]),
    ],
)
def test_python_is_changed_one_place_at_a_time(code, expected):
    assert made(python.edits, code) == expected


@pytest.mark.parametrize(
    "code",
    [
        '"""A docstring."""\n',
        'class A:\n    """A docstring."""\n    b: int\n    """What it is."""\n',
        "def f(a: int | None, b: Literal['c']) -> None: ...\n",
        "log.warning('%s went', a)\n",
        "self._logger.info('b', exc_info=True)\n",
        "print('done', 1)\n",
        "import a\nfrom b import c\n",
        "__all__ = ['a']\n",
        "Feed: TypeAlias = Callable[[int], dict[str, 5]]\n",
        "if TYPE_CHECKING:\n    a = 1\n",
        "def f(a='Too much. Go.'): ...\n",
    ],
)
def test_what_leaves_the_program_equal_is_not_changed(code):
    assert made(python.edits, code) == []


def test_an_assignment_goes_only_where_a_use_of_the_name_would_not_fail():
    assert made(python.edits, "def f(a):\n    b = a\n    return b\n") == [
        ("return value replaced", "return None")
    ]
    assert made(python.edits, "def f(a):\n    a = b(a)\n    return a\n")[0] == ("statement removed", "pass")
    assert made(python.edits, "SEED = a\n") == [("statement removed", "pass")]


def test_options_of_a_dataclass_are_not_changed():
    code = "@dataclass(frozen=True)\nclass A: ...\n"
    assert made(python.edits, code) == [("decorator removed", "- @dataclass(frozen=True)")]


CADDYFILE = """\
:{$SHOP_PORT} {
	# a comment
	rewrite @inside /nowhere
	handle {
		dial_timeout 500ms  # half a second
		respond `{"type": "/problem", "detail": "Try again."}` 502
	}
}
"""


def test_a_caddyfile_loses_directives_and_arguments_and_its_numbers_change():
    assert made(caddyfile.edits, CADDYFILE, own={2, 3, 4, 5, 6, 7}) == [
        ("directive left out", "- rewrite @inside /nowhere"),
        ("argument left out", "rewrite /nowhere"),
        ("argument left out", "rewrite @inside"),
        (
            "directive left out",
            (
                "- handle { / - dial_timeout 500ms  # half a second / "
                '- respond `{"type": "/problem", "detail": "Try again."}` 502 / - }'
            ),
        ),
        ("directive left out", "- dial_timeout 500ms  # half a second"),
        ("constant changed", "dial_timeout 1000ms  # half a second"),
        ("directive left out", '- respond `{"type": "/problem", "detail": "Try again."}` 502'),
        ("constant changed", "respond `` 502"),
        ("constant changed", 'respond `{"type": "/problemx", "detail": "Try again."}` 502'),
        ("constant changed", 'respond `{"type": "/problem", "detail": "Try again."}` 1004'),
    ]


def test_a_mutant_of_a_caddyfile_names_the_blocks_around_it():
    edits = list(caddyfile.edits(CADDYFILE, {3, 5}))
    assert {edit.within for edit in edits} == {":{$SHOP_PORT}", ":{$SHOP_PORT} > handle"}


def test_toml_and_json_lose_keys_and_their_values_change():
    toml = '[target]\np95_ms = 250\nroute = "/a"\nwhy = "People go."\nloud = true\n'
    assert made(settings.toml_edits, toml, own={1, 2, 3, 4, 5}) == [
        ("key left out", "- p95_ms = 250"),
        ("constant changed", "p95_ms = 250000"),
        ("key left out", '- route = "/a"'),
        ("constant changed", 'route = "/ax"'),
        ("key left out", '- why = "People go."'),
        ("key left out", "- loud = true"),
        ("constant changed", "loud = false"),
    ]
    assert made(settings.json_edits, '{"a": 1, "b": [true]}\n') == [
        ("key left out", '{"b": [true]}'),
        ("constant changed", '{"a": 2, "b": [true]}'),
        ("key left out", '{"a": 1}'),
        ("key left out", '{"a": 1, "b": []}'),
        ("constant changed", '{"a": 1, "b": [false]}'),
    ]


def test_only_the_learners_own_lines_are_changed(own_course):
    start = own_course / "01-hello/start/monolith/greeting.py"
    start.write_text("LOUD = 1\n\n\ndef hello(name):\n    return LOUD\n")
    (own_course / GREETING).write_text("LOUD = 1\n\n\ndef hello(name):\n    send(name)\n    return LOUD\n")
    course = Course(own_course)
    found = mutants_of(course, course.step("hello")).mutants
    assert [(each.file, each.line, each.within, each.text) for each in found] == [
        ("monolith/greeting.py", 5, "hello", "- send(name)\n+ pass")
    ]


def test_a_line_that_is_only_indented_or_moved_is_not_the_learners(own_course):
    start = own_course / "01-hello/start/monolith/greeting.py"
    start.write_text("def hello(name):\n    send(name)\n    wait(1)\n    return 1\n")
    (own_course / GREETING).write_text(
        "def hello(name):\n    if name:\n        wait(1)\n        send(name)\n    return 1\n"
    )
    course = Course(own_course)
    found = mutants_of(course, course.step("hello")).mutants
    assert {each.line for each in found} == {2}


def test_of_a_moved_file_only_the_changed_lines_count(own_course):
    moved = own_course / "02-bye/solution/shared/monolith/old.py"
    moved.parent.mkdir(parents=True)
    moved.write_text("AGE = 100\nYEARS = 7\n")
    course = Course(own_course)
    found = mutants_of(course, course.step("bye")).of_file("old.py").mutants
    assert [each.text for each in found] == ["- YEARS = 7\n+ pass", "- YEARS = 7\n+ YEARS = 8"]


def test_a_file_that_the_learner_removes_is_kept(own_course):
    manifest = own_course / "03-tidy/exercise.toml"
    manifest.write_text(
        manifest.read_text().replace('start = ["monolith/old.py"]', 'solution = ["monolith/old.py"]')
    )
    course = Course(own_course)
    kept = mutants_of(course, course.step("tidy")).mutants[-1]
    assert (kept.kind, kept.file, kept.content) == (Kind.FILE, "monolith/old.py", "AGE = 100\n")


def test_a_change_that_does_not_compile_is_counted_and_left_out(own_course):
    change(own_course, GREETING, 'return "hello " + name', "return greet((name), name)")
    course = Course(own_course)
    found = mutants_of(course, course.step("hello"))
    assert [each.text.splitlines()[1] for each in found.mutants] == ["+ return None"]
    assert found.invalid == 1


def test_an_argument_of_a_topology_that_has_its_default_is_no_mutant(own_course):
    (own_course / "01-hello/solution/topology.py").write_text(
        "from microservices.topology import Service, Topology\n"
        'TOPOLOGY = Topology("one", services=(Service("shop", ("-m", "shop"), slots=8, threads=2),))\n'
    )
    course = Course(own_course)
    found = mutants_of(course, course.step("hello"))
    texts = [each.content for each in found.mutants if each.file == "topology.py"]
    assert not any("slots" not in text and "threads=2" in text for text in texts)
    assert any("threads" not in text and "slots=8" in text for text in texts)
    assert any("slots=" in text and "slots=8" not in text for text in texts)
    assert found.invalid == 1


def test_the_same_text_is_one_mutant_however_it_came_about(own_course):
    (own_course / "01-hello/solution/more.json").write_text("[1, 1]\n")
    course = Course(own_course)
    found = mutants_of(course, course.step("hello")).of_file("more.json").mutants
    assert [each.content for each in found] == ["[1]\n", "[2, 1]\n", "[1, 2]\n"]


def test_a_file_of_another_kind_is_named(own_course):
    (own_course / "01-hello/solution/pytest.ini").write_text("[pytest]\n")
    course = Course(own_course)
    assert mutants_of(course, course.step("hello")).left_alone == ("pytest.ini",)


def test_an_unknown_file_is_refused_with_the_names_of_the_known_ones(course):
    with pytest.raises(ExerciseError, match=r"nothing in 'farewell.py' .* there are monolith/greeting.py"):
        mutants_of(course, course.step("hello")).of_file("farewell.py")


def test_a_sample_takes_from_each_file_and_each_kind_in_turn(own_course):
    (own_course / GREETING).write_text('def hello(name):\n    send(1, 2, 3, 4)\n    return "hello " + name\n')
    (own_course / "01-hello/solution/more.json").write_text('{"a": 1}\n')
    course = Course(own_course)
    everything = mutants_of(course, course.step("hello")).mutants
    drawn = sample(everything, 6, seed=3)
    assert drawn == sample(everything, 6, seed=3) != sample(everything, 6, seed=4)
    assert sorted(each.file for each in drawn)[:2] == ["monolith/greeting.py", "monolith/greeting.py"]
    assert len({each.kind for each in drawn if each.file.endswith(".py")}) == 4
    assert sorted(map(repr, sample(everything, 99, seed=1))) == sorted(map(repr, everything))
