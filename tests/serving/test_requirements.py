"""What a script's requirements.txt asks for is there when the script runs."""

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.serving.harness import Alone, Container, Zygote, invoke
from tests.serving.wheels import write_wheel

pytestmark = pytest.mark.slow

Scripted = Callable[..., Path]
Start = Callable[..., Container]


@pytest.fixture
def start(zygote: Zygote, scripted: Scripted, tmp_path: Path) -> Start:
    """Start a container whose pip knows the wheels in `tmp_path / "wheels"`, and no index."""

    def begin(module: str, requirements: str) -> Container:
        script = f"import {module}\ndef handler(data, context): return {module}.TEXT, 'text/plain'"
        return zygote.start(
            scripted(script, **{"requirements.txt": requirements}),
            PIP_NO_INDEX="1",
            PIP_FIND_LINKS=str(tmp_path / "wheels"),
            PIP_CONFIG_FILE="/dev/null",
        )

    return begin


def test_a_package_is_installed_once_and_found_again(
    zygote: Zygote, start: Start, scripted: Scripted, tmp_path: Path
) -> None:
    """The second start of an endpoint must not wait for downloads, nor need a network."""
    write_wheel(tmp_path / "wheels", "wanted", "1.0", "TEXT = 'installed'")
    container = start("wanted", "wanted\nnumpy\n")
    (address,) = container.wait_listening()

    assert invoke(address, "").body == b"installed"
    assert "pip: Successfully installed wanted-1.0" in container.log
    assert "Requirement already satisfied: numpy" in container.log
    container.stop()

    (tmp_path / "wheels" / "wanted-1.0-py3-none-any.whl").unlink()
    again = zygote.start(tmp_path / "model", PIP_NO_INDEX="1")
    (address,) = again.wait_listening()

    assert invoke(address, "").body == b"installed"
    assert "pip:" not in again.log
    again.stop()


def test_what_cannot_be_installed_is_said_in_pips_words(start: Start) -> None:
    """As in the original a failing install stops the container; here the reason says why."""
    container = start("nowhere", "nowhere==7\n")
    reason = container.reports.wait("failed")["reason"]

    assert reason.startswith("code/requirements.txt cannot be installed (pip's exit status is 1): ")
    assert "No matching distribution found for nowhere==7" in reason
    assert container.wait_exit() == 1


def test_a_cache_that_cannot_be_written_is_said(
    run_alone: Callable[..., Alone], scripted: Scripted, tmp_path: Path
) -> None:
    """A sentence, where a traceback would be blamed on the script."""
    (tmp_path / "home").touch()
    directory = scripted(**{"requirements.txt": "wanted\n"})
    alone = run_alone(directory, "--port=0", WINDTUNNEL_HOME=str(tmp_path / "home"))
    status, errors = alone.wait_exit()

    assert status == 2
    assert "code/requirements.txt cannot be installed below" in errors
    assert "Traceback" not in errors


def test_a_version_of_its_own_wins_over_the_one_that_is_loaded(
    start: Start, tmp_path: Path
) -> None:
    """A pinned version that is not the one the script gets would be worse than none."""
    # idna is loaded with requests, long before a worker is forked.
    write_wheel(tmp_path / "wheels", "idna", "0.1", "TEXT = 'pinned'")
    container = start("idna", "idna==0.1\n")
    (address,) = container.wait_listening()

    assert invoke(address, "").body == b"pinned"
    assert "the script brings its own idna, so that its workers are no forks" in container.log
    container.stop()
