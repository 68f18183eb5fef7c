"""A model that takes long to make is made once, whole or not at all."""

import json
import os
import select
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

import pytest

from windtunnel.core import limits
from windtunnel.core.errors import WindtunnelError
from windtunnel.core.home import Home
from windtunnel.sample import cache

# Stands in for the trainer: fills the directory that it is handed as its last argument.
FILL = [sys.executable, "-c", "import sys; open(sys.argv[-1] + '/model', 'w').write('whole')"]
# The same, but it says on a pipe that it began, writes half, and waits for a line.
FILL_SLOWLY = """
import sys
began, go, directory = sys.argv[1:]
open(directory + "/model", "w").write("ha")
open(began, "w").write("x")
open(go).read()
open(directory + "/model", "w").write("whole")
"""
MAKER = """
import json, sys
from pathlib import Path
from windtunnel.core.home import Home
from windtunnel.sample import cache
home, *program = sys.argv[1:]
made = cache.made_once(
    Home(Path(home)), "unet", "d1", program, lambda line: print(line, flush=True)
)
print(json.dumps([made.reused, (made.directory / "model").read_text()]))
"""


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """Return an empty home."""
    home = Home(tmp_path / "home")
    home.prepare()
    return home


@contextmanager
def maker(home: Home, program: list[str]) -> Iterator[tuple[subprocess.Popen[str], IO[str]]]:
    """Run a maker in a process of its own, and end it whatever happens."""
    process = subprocess.Popen(
        [sys.executable, "-c", MAKER, str(home.path), *program], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        yield process, process.stdout
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.fixture
def slow_program(tmp_path: Path) -> Iterator[tuple[list[str], Path, Path]]:
    """Yield a program, the pipe where it says that it began, and the one it waits on."""
    began, go = tmp_path / "began", tmp_path / "go"
    for pipe in (began, go):
        os.mkfifo(pipe)
    yield [sys.executable, "-c", FILL_SLOWLY, str(began), str(go)], began, go
    # Whoever still waits, its maker killed, goes on and ends.
    with suppress(OSError):
        os.close(os.open(go, os.O_WRONLY | os.O_NONBLOCK))


def made(home: Home, digest: str = "d1", program: list[str] = FILL) -> cache.Made:
    """Make or reuse in this process."""
    return cache.made_once(home, "unet", digest, program, lambda _: None)


@pytest.mark.slow
def test_a_model_is_made_once(home: Home) -> None:
    """The second deployment of the sample must not train for a minute again."""
    first = made(home)
    again = made(home, program=["/nowhere/to/be/found"])

    assert (first.reused, again.reused) == (False, True)
    assert first.directory == again.directory
    assert (again.directory / "model").read_text() == "whole"


@pytest.mark.slow
def test_a_failed_making_leaves_nothing(home: Home) -> None:
    """What is in the cache is used without looking: half a model must never get there."""
    program = [sys.executable, "-c", "import sys; sys.exit(3)"]

    with pytest.raises(WindtunnelError, match="exit status 3"):
        made(home, program=program)
    assert [path.name for path in home.cache.iterdir()] == ["unet.lock"]


@pytest.mark.slow
def test_two_makers_at_once_make_one_model(
    home: Home, slow_program: tuple[list[str], Path, Path]
) -> None:
    """Two terminals, or a demo started twice, must not write into each other's files."""
    program, began, go = slow_program
    with maker(home, program) as (_, first), maker(home, program) as (_, second):
        began.read_text()
        # Whoever holds the lock is silent until it may go on: the first line is the other's.
        ready, _, _ = select.select([first, second], [], [])
        line = ready[0].readline()
        go.write_text("go")
        answers = sorted(json.loads(stream.read()) for stream in (first, second))

    assert "waiting for it" in line
    assert answers == [[False, "whole"], [True, "whole"]]


@pytest.mark.slow
def test_a_killed_maker_leaves_the_way_free(
    home: Home, slow_program: tuple[list[str], Path, Path]
) -> None:
    """After kill -9 or a power cut the next one starts from nothing and finds no half model."""
    program, began, _ = slow_program
    with maker(home, program) as (process, _):
        began.read_text()
        process.kill()
        process.wait()
        assert not (home.cache / "unet-d1").exists()
        assert list(home.cache.glob(".unet-*"))

    assert (made(home).directory / "model").read_text() == "whole"
    assert sorted(path.name for path in home.cache.iterdir()) == ["unet-d1", "unet.lock"]


@pytest.mark.slow
def test_old_models_are_removed_in_the_end(home: Home) -> None:
    """A home that lives through many upgrades must not fill the disk with models."""
    count = limits.SAMPLE_CACHE_COUNT_MAX + 2
    for number in range(count):
        made(home, digest=f"d{number}")
    kept = sorted(path.name for path in home.cache.glob("unet-*"))

    assert kept == [f"unet-d{number}" for number in range(2, count)]


def test_another_tensorflow_makes_another_model() -> None:
    """An upgrade must not serve the old model under the new version's name."""
    one = cache.digest(["tensorflow 2.20.0", "keras 3.12.0"])
    other = cache.digest(["tensorflow 2.21.0", "keras 3.12.0"])

    assert one != other
    assert one == cache.digest(["tensorflow 2.20.0", "keras 3.12.0"])


def test_the_digest_covers_every_source_of_the_model() -> None:
    """A new module of the trainer that is not in the list would change the model unnoticed."""
    room = Path(cache.__file__).parent
    others = {"__init__.py", "cache.py", "tiny.py"}

    assert set(cache._SOURCES) | others == {path.name for path in room.glob("*.py")}
