"""Locust's LoadTestShape classes: found, checked and followed, in a process of their own."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from windtunnel.core.errors import UsageError
from windtunnel.lab.load import shapes

pytestmark = pytest.mark.slow

# Locust patches whatever process imports it. Each file is loaded and followed to its end there;
# what came of it is told by the file's name.
_FOLLOW = """
import json, pathlib, sys
from windtunnel.lab.load import shapes
told = {}
for word in sys.argv[1:]:
    shape = shapes.find(word)
    name = pathlib.Path(word.partition(":")[0]).stem + word.partition(":")[1] + shape.name
    users = []
    try:
        for wanted in shapes.follow(shapes.load(shape), None, lambda _s: None):
            users.append(wanted)
        told[name] = users
    except (Exception, SystemExit) as error:
        told[name] = [*users, shapes.fault(error, shape)]
print(json.dumps(told))
"""
_SHAPES = {
    "steps": """
from locust import LoadTestShape
class Steps(LoadTestShape):
    wants = iter([(10, 4), (10, 4), (10, 4), (3, 2), (3, 100), (0, 100), None])
    def tick(self):
        return next(self.wants)
""",
    # A rate below one user a second takes several.
    "slow": """
from locust import LoadTestShape
class Slow(LoadTestShape):
    wants = iter([(2, 0.5)] * 5 + [None])
    def tick(self):
        return next(self.wants)
""",
    "inherits": """
from locust import LoadTestShape
import beside
class Mine(beside.Theirs):
    count = 2
""",
    "beside": """
from locust import LoadTestShape
class Theirs(LoadTestShape):
    count = 1
    abstract = False
    def tick(self):
        self.count -= 1
        return (self.count, 9) if self.count >= 0 else None
""",
    "classes": """
from locust import LoadTestShape, User
class Classes(LoadTestShape):
    wants = iter([(5, 5, [User]), None])
    def tick(self):
        return next(self.wants)
""",
    "two": """
from locust import LoadTestShape
class One(LoadTestShape):
    def tick(self):
        return None
class Two(LoadTestShape):
    wants = iter([(2, 2), None])
    def tick(self):
        return next(self.wants)
""",
    "none": "class One(Exception): pass\n",
    "raises": "class One(Exception): pass\n\nvalue = 1 / 0\n",
    "exits": "import sys\nclass One(Exception): pass\nsys.exit('no more')\n",
    "ticks": """
from locust import LoadTestShape
class Ticks(LoadTestShape):
    wants = iter([(5, 5)])
    def tick(self):
        return next(self.wants, "rubbish")
""",
}


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Return what became of each shape."""
    directory = tmp_path_factory.mktemp("shapes")
    for name, text in _SHAPES.items():
        (directory / f"{name}.py").write_text(text)
    words = [str(directory / f"{name}.py") for name in _SHAPES]
    words += [f"{directory}/two.py:Two", f"{directory}/two.py:Three"]
    done = subprocess.run(
        [sys.executable, "-c", _FOLLOW, *words], check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_a_shape_is_followed_at_its_own_rate_to_its_end(told: dict[str, Any]) -> None:
    """Two hundred users at once, where ten a second were asked for, are another test."""
    assert told["steps"] == [4, 8, 10, 8, 3, 0]
    assert told["slow"] == [0, 1, 1, 2, 2]


def test_what_locusts_own_users_write_is_understood(told: dict[str, Any]) -> None:
    """A class that inherits from one in a file beside it; a tick that names user classes, too."""
    assert told["inherits"] == [1, 0]
    assert told["beside"] == [0]
    assert told["classes"] == [5]
    assert told["two:Two"] == [2]


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("none", "none.py has no class of its own that is a LoadTestShape of Locust."),
        ("two", "two.py has several shapes, One, Two: name one, as in two.py:One."),
        ("two:Three", "two.py has no LoadTestShape named Three."),
        ("raises", "raises.py raised ZeroDivisionError: division by zero"),
        ("exits", "exits.py raised SystemExit: no more"),
        ("ticks", "could not convert string to float: 'r'"),
    ],
)
def test_a_file_that_cannot_be_followed_is_explained(
    told: dict[str, Any], name: str, sentence: str
) -> None:
    """It is somebody's own code: which line of it, and why, in a sentence."""
    assert told[name][-1].endswith(sentence)
    assert name != "raises" or told[name][-1].startswith("line 3 of ")


def test_a_file_that_changed_since_it_was_shown_is_not_run(tmp_path: Path) -> None:
    """What a person agreed to is what runs."""
    path = tmp_path / "shape.py"
    path.write_text("class Mine(Theirs): pass\n")
    words = f"""
from windtunnel.lab.load import shapes
shape = shapes.find({str(path)!r})
open(shape.path, "a").write("value = 2")
try:
    shapes.load(shape)
except Exception as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", words], check=False, capture_output=True, text=True
    )

    assert done.stdout == f"The shape {path} changed since it was checked.\n"


def test_what_is_no_python_is_refused_without_running_it(tmp_path: Path) -> None:
    """And without Locust: the command line says so at once."""
    was_there = "locust" in sys.modules
    path = tmp_path / "shape.py"
    path.write_text("class Shape(:\n")
    with pytest.raises(UsageError, match="is not Python: "):
        shapes.find(str(path))
    with pytest.raises(UsageError, match="cannot be read: No such file"):
        shapes.find(str(tmp_path / "missing.py:Shape"))
    for text in ("value = 1\n", "class One: pass\n", "class One(locust.HttpUser): pass\n"):
        path.write_text(text)
        with pytest.raises(UsageError, match="has no class that is a LoadTestShape"):
            shapes.find(str(path))
    assert ("locust" in sys.modules) == was_there
