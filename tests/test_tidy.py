"""The rules that keep the house in order: if a rule matters, it is here."""

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src" / "windtunnel"
TESTS = ROOT / "tests"
CLIENTS = ROOT / "clients"
PEERS = ROOT / "benchmarks" / "peers"

# What each room may import of the others; `core` and the room itself always.
ALLOWED: dict[str, set[str]] = {
    "aws": set(),
    "autoscaling": {"aws"},
    "core": set(),
    "http": set(),
    "sample": set(),
    "serving": {"http"},
    "compiler": {"serving"},
    "cloud": {"autoscaling", "aws", "http"},
    "lab": {"autoscaling", "aws"},
    "cli": {"autoscaling", "aws", "cloud", "compiler", "http", "lab", "sample", "serving"},
}
# Names that say nothing of what is inside.
BANNED_MODULES = {
    "base", "common", "constants", "enums", "factories", "factory", "helpers", "manager", "misc",
    "mixins", "types_", "util", "utils",
}  # fmt: skip
# A file is read in one sitting; a function on one screen or two.
FILE_LINES_MAX = 600
FUNCTION_LINES_MAX = 90
# Time is read in core/clock in the deciders' world; these are the thin loops and the generators
# that may read it themselves, because what they do is measure or wait.
CLOCK_READERS = {
    # In processes of their own, that move one object.
    "cloud/foundation/s3/unix.py",
}
DECIDERS = ("autoscaling/", "cloud/", "aws/")


def modules() -> Iterator[Path]:
    return (path for path in sorted(SOURCE.rglob("*.py")))


def name_of(path: Path) -> str:
    return path.relative_to(SOURCE).as_posix()


def imported(path: Path) -> Iterator[str]:
    """Yield the rooms of this package that a module imports, wherever it does so."""
    for node in ast.walk(ast.parse(path.read_text())):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names = [node.module]
            if node.module == "windtunnel":
                names = [f"windtunnel.{alias.name}" for alias in node.names]
        for name in names:
            parts = name.split(".")
            if parts[0] == "windtunnel" and len(parts) > 1:
                yield parts[1]


@pytest.mark.parametrize("path", list(modules()), ids=name_of)
def test_rooms_import_only_downwards(path: Path) -> None:
    """The lab must run unchanged against AWS, so it cannot see inside our cloud, and so on."""
    room = path.relative_to(SOURCE).parts[0]
    if room.endswith(".py"):
        return
    strangers = set(imported(path)) - ALLOWED[room] - {room, "core", "__version__"}

    assert not strangers, f"{room} must not import {sorted(strangers)}"


def test_core_needs_nothing_but_psutil() -> None:
    """Every process of the cloud imports core; it must stay light."""
    allowed = set(sys.stdlib_module_names) | {"psutil", "windtunnel"}
    for path in (SOURCE / "core").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                roots = {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                roots = {node.module.split(".")[0]}
            else:
                continue
            assert roots <= allowed, f"{name_of(path)} imports {sorted(roots - allowed)}"


@pytest.mark.slow
@pytest.mark.parametrize("heavy", ["tensorflow", "locust", "gevent", "boto3", "uvloop", "plotly"])
def test_importing_the_command_line_loads_nothing_heavy(heavy: str) -> None:
    """`windtunnel --help` answers at once, and the lab's install has no TensorFlow."""
    code = f"import sys, windtunnel.cli.main; sys.exit({heavy!r} in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_openvino_is_imported_only_behind_what_silences_it() -> None:
    """Imported by its own name, it reports its use to its makers and starts a thread."""
    for path in modules():
        tree = ast.parse(path.read_text())
        top = {node.module for node in tree.body if isinstance(node, ast.ImportFrom)}
        for node in ast.walk(tree):
            roots: set[str] = set()
            if isinstance(node, ast.Import):
                roots = {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                roots = {node.module.split(".")[0]}
            if "openvino" in roots:
                assert name_of(path) == "serving/openvino_library.py"
            if "nncf" in roots:
                assert "windtunnel.serving.openvino_library" in top, name_of(path)


@pytest.mark.parametrize("path", list(modules()), ids=name_of)
def test_files_and_functions_are_read_in_one_sitting(path: Path) -> None:
    """Nobody learns a house whose rooms have no walls."""
    text = path.read_text()

    assert len(text.splitlines()) <= FILE_LINES_MAX
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            length = node.end_lineno - node.lineno + 1
            assert length <= FUNCTION_LINES_MAX, f"{node.name} has {length} lines"


def test_modules_are_named_for_what_they_hold() -> None:
    """`utils` is where things go that nobody finds again."""
    for path in SOURCE.rglob("*"):
        assert path.stem not in BANNED_MODULES, name_of(path)


@pytest.mark.parametrize("path", list(modules()), ids=name_of)
def test_every_module_says_what_it_is_for(path: Path) -> None:
    """A stranger reads the first lines and knows the rules of the room."""
    assert ast.get_docstring(ast.parse(path.read_text())), name_of(path)


def test_the_clouds_rooms_do_not_read_time_themselves() -> None:
    """What decides gets its time handed in, or it could not be played in a test."""
    for path in modules():
        name = name_of(path)
        if not name.startswith(DECIDERS) or name in CLOCK_READERS:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                called = f"{node.value.id}.{node.attr}"
                banned = {"time.time", "time.monotonic", "datetime.now", "datetime.utcnow"}
                assert called not in banned, f"{name}:{node.lineno} reads {called}: use core/clock"


def test_every_test_states_its_claim() -> None:
    """A failing test's docstring says what a user loses."""
    for path in TESTS.rglob("test_*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                where = f"{path.relative_to(ROOT)}:{node.lineno}"
                assert ast.get_docstring(node), f"{where} {node.name} has no docstring"


def test_tests_are_collected_without_tensorflow() -> None:
    """Each process that runs some of them collects them all, and would import it first."""
    for path in TESTS.rglob("test_*.py"):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            else:
                names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            roots = {name.split(".")[0] for name in names}
            assert "tensorflow" not in roots, f"{path.relative_to(ROOT)}:{node.lineno}"


def test_every_limit_is_used_and_has_its_origin() -> None:
    """A number without an origin is a superstition; one without a use is a lie."""
    folder = SOURCE / "core" / "limits"
    rest = "\n".join(path.read_text() for path in modules() if path.parent != folder)
    lines = [line for path in sorted(folder.glob("*.py")) for line in path.read_text().splitlines()]
    for number, line in enumerate(lines):
        name, found, _ = line.partition(" = ")
        if not found or not name.isupper() or name in {"KIB", "MIB", "GIB"}:
            continue
        above = number - 1
        while " = " in lines[above] and lines[above].split(" = ")[0].isupper():
            above -= 1
        assert lines[above].startswith("#"), f"{name} has no comment above it"
        assert name in rest, f"{name} is used nowhere"


LOCKS = [
    ROOT / "requirements.lock",
    *sorted(CLIENTS.glob("*/requirements.lock")),
    *sorted(PEERS.glob("*/requirements.lock")),
]


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.parent.name)
def test_the_lock_files_name_no_download_host(lock: Path) -> None:
    """A clone must install from whatever index its user has."""
    for line in lock.read_text().splitlines():
        assert "://" not in line
        assert not line.startswith(("--index", "--extra-index", "--find-links", "-i ")), line


def test_nodes_packages_are_pinned_by_hash_and_name_no_download_host() -> None:
    """The same for npm, whose lock file would name where each package once came from."""
    text = (CLIENTS / "javascript" / "package-lock.json").read_text()
    assert "://" not in text
    lock = json.loads(text)
    for name, package in lock["packages"].items():
        assert "resolved" not in package, name
        assert not name or "integrity" in package, name


def test_foreign_clients_know_nothing_of_the_local_cloud() -> None:
    """A client proves something only if its user could have written it for AWS."""
    programs = list(CLIENTS.glob("*/client.*"))

    assert len(programs) >= 4
    for program in programs:
        text = program.read_text().lower()
        for word in ("windtunnel", "endpoint_url", "endpoint-url", "127.0.0.1"):
            assert word not in text, f"{program.relative_to(ROOT)} says {word}"


def test_every_foreign_client_is_played() -> None:
    """`make clients` is green only if each client is."""
    runner = (CLIENTS / "run.py").read_text()
    for program in CLIENTS.glob("*/client.*"):
        assert f'"{program.parent.name}"' in runner
        assert f'"{program.name}"' in runner
