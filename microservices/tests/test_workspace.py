"""A shop in its own folder: how its topology.py is read, and that its processes run there."""

from __future__ import annotations

from pathlib import Path

import pytest
import requests

from microservices.launcher import Fleet, NotStarted
from microservices.launcher.seed import seed_workspace
from microservices.topology import WorkspaceError, load

TOPOLOGY = """\
from pathlib import Path
from microservices.topology import Service, Topology
TOPOLOGY = Topology(
    "workspace", (Service("shop", ("-m", "shop", "{{port}}"), {service}),), caddyfile=Path("Caddyfile")
)
SEED = {seed}
"""
SHOP = """\
import http.server, os, pathlib, sys
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(f"{pathlib.Path.cwd()} {self.path}".encode())
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Answer).serve_forever()
"""
CADDYFILE = """\
{
	admin off
	persist_config off
	auto_https off
	default_bind 127.0.0.1
}
:{$SHOP_PORT} {
	reverse_proxy {$SHOP_SHOP_SLOTS}
}
"""
FILL = "import os, sys; open(os.environ['SHOP_DATABASE_URL'].removeprefix('sqlite:///'), 'w').write({!r})"


def workspace(folder: Path, service: str = "slots=1", seed: str = "{}") -> Path:
    (folder / "topology.py").write_text(TOPOLOGY.format(service=service, seed=seed))
    (folder / "shop.py").write_text(SHOP)
    (folder / "Caddyfile").write_text(CADDYFILE)
    return folder


def test_a_workspace_has_its_folder_and_its_caddyfile(tmp_path):
    topology = load(workspace(tmp_path)).topology
    assert topology.folder == tmp_path
    assert topology.caddyfile == tmp_path / "Caddyfile"


@pytest.mark.parametrize(
    ("service", "seed", "sentence"),
    [
        ("needs=('orders',)", "{}", "shop needs orders, but no service has that name or alias"),
        ("aliases=('shop',)", "{}", "More than one service has the name or alias shop"),
        ("", "{'invoices': ()}", "SEED fills invoices, but the services are shop"),
        ("", "{'shop': '-m'}", "SEED in .* is not a dict"),
        ("", "1 / 0", "cannot be read .ZeroDivisionError"),
        ("colour='red'", "{}", "cannot be read .TypeError"),
    ],
)
def test_an_inconsistent_topology_is_an_error_in_one_sentence(service, seed, sentence, tmp_path):
    with pytest.raises(WorkspaceError, match=sentence):
        load(workspace(tmp_path, service, seed))


def test_a_folder_without_topology_py_is_no_workspace(tmp_path):
    with pytest.raises(WorkspaceError, match=r"There is no .*topology\.py"):
        load(tmp_path)


def test_a_file_without_a_topology_is_an_error(tmp_path):
    (tmp_path / "topology.py").write_text("")
    with pytest.raises(WorkspaceError, match="defines no TOPOLOGY"):
        load(tmp_path)


def test_a_missing_caddyfile_is_an_error(tmp_path):
    (workspace(tmp_path) / "Caddyfile").unlink()
    with pytest.raises(WorkspaceError, match=r"no file .*Caddyfile for the gateway"):
        load(tmp_path)


def test_an_edit_is_read_even_if_the_file_keeps_its_length(tmp_path):
    assert load(workspace(tmp_path, "slots=1")).topology.service("shop").slots == 1
    assert load(workspace(tmp_path, "slots=2")).topology.service("shop").slots == 2


def test_a_database_is_filled_by_the_workspaces_command_and_again_after_its_code_changed(tmp_path):
    folder, data = tmp_path / "workspace", tmp_path / "data"
    folder.mkdir()
    workspace(folder, seed="{'shop': ('fill.py',)}")
    for text in ("one", "two"):
        (folder / "fill.py").write_text(FILL.format(text))
        seed_workspace(load(folder), data, home=tmp_path)
        assert (data / "shop.sqlite3").read_text() == text


def test_without_a_change_of_code_a_database_is_filled_once(tmp_path):
    folder, data = tmp_path / "workspace", tmp_path / "data"
    folder.mkdir()
    workspace(folder, seed="{'shop': ('fill.py',)}")
    (folder / "fill.py").write_text("import pathlib; open('runs', 'a').write('x');" + FILL.format("one"))
    for _ in range(2):
        seed_workspace(load(folder), data, home=tmp_path)
    assert (folder / "runs").read_text() == "x"


def test_only_code_that_the_command_loads_or_a_new_file_fills_a_database_again(tmp_path):
    folder, data = tmp_path / "workspace", tmp_path / "data"
    folder.mkdir()
    workspace(folder, seed="{'shop': ('fill.py',)}")
    count = "import pathlib; open('runs', 'a').write('x');"
    (folder / "fill.py").write_text(f"import loaded;{count}{FILL.format('one')}")
    (folder / "loaded.py").write_text("")
    (folder / "other.py").write_text("")
    for changed, runs in (("other.py", 1), ("loaded.py", 2), ("other.py", 2), ("new.py", 3)):
        seed_workspace(load(folder), data, home=tmp_path)
        (folder / changed).write_text("# changed\n")
        seed_workspace(load(folder), data, home=tmp_path)
        assert len((folder / "runs").read_text()) == runs


@pytest.mark.processes
def test_processes_of_a_workspace_run_in_it_behind_its_own_gateway(tmp_path):
    folder = tmp_path / "workspace"
    folder.mkdir()
    with Fleet(load(workspace(folder)).topology, data_dir=tmp_path, home=tmp_path) as fleet:
        assert requests.get(f"{fleet.url}/a?b=c", timeout=5).text == f"{folder} /a?b=c"


@pytest.mark.processes
def test_a_mistake_in_the_caddyfile_is_an_error_with_file_and_line(tmp_path):
    folder = tmp_path / "workspace"
    folder.mkdir()
    workspace(folder)
    (folder / "Caddyfile").write_text(CADDYFILE.replace("reverse_proxy", "reverse_prox"))
    fleet = Fleet(load(folder).topology, data_dir=tmp_path, home=tmp_path)
    with pytest.raises(NotStarted, match=r"configuration: .*Caddyfile:8: unrecognized directive"):
        fleet.start()


@pytest.mark.processes
@pytest.mark.parametrize(
    ("forgotten", "sentence"),
    [
        (":{$SHOP_SHOP_PORT} {", r"at \{\$SHOP_SHOP_PORT\}, where other services call shop; add a block"),
        (":{$SHOP_PORT} {", r"at \{\$SHOP_PORT\}, where visitors ask; add a block"),
    ],
)
def test_a_forgotten_listener_is_an_error_that_names_it(forgotten, sentence, tmp_path):
    folder = tmp_path / "workspace"
    folder.mkdir()
    workspace(folder, "aliases=('orders',), needs=('orders',)")
    both = CADDYFILE + ":{$SHOP_SHOP_PORT} {\n\treverse_proxy {$SHOP_SHOP_SLOTS}\n}\n"
    (folder / "Caddyfile").write_text(both.replace(forgotten, ":{$SHOP_SHOP_SLOTS} {"))
    fleet = Fleet(load(folder).topology, data_dir=tmp_path, home=tmp_path)
    with pytest.raises(NotStarted, match=sentence):
        fleet.start()
