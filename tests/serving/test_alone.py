"""`windtunnel container`: one container from the command line."""

import signal
import socket
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from tests.processes import end_by_themselves, is_alive
from tests.serving.harness import Alone, invoke, request, wait_until

pytestmark = pytest.mark.slow

Run = Callable[..., Alone]


def test_a_model_is_served_until_sigterm(run_alone: Run, tiny_models: Path) -> None:
    """A ready line with the address, answers, and a clean end."""
    alone = run_alone(
        tiny_models / "half_plus_two", "--port=0", SAGEMAKER_TFS_NGINX_LOGLEVEL="info"
    )
    url = alone.wait_ready()
    assert request(url, "GET", "/ping").status == 200
    assert invoke(url, "[1]").status == 400
    assert invoke(url, "1").json == {"predictions": [2.5]}
    processes = psutil.Process(alone.process.pid).children(recursive=True)
    alone.process.send_signal(signal.SIGTERM)
    status, log = alone.wait_exit()

    assert status == 0
    assert "POST /invocations 200, 1 bytes in, 21 out" in log
    assert end_by_themselves(processes)


def test_several_model_servers_answer_on_one_port(run_alone: Run, tiny_models: Path) -> None:
    """What nginx is in the original: one server's end costs the request it had, no other."""
    alone = run_alone(tiny_models / "half_plus_two", "--port=0", SAGEMAKER_TFS_INSTANCE_COUNT="2")
    url = alone.wait_ready()
    for _ in range(10):
        assert invoke(url, "1").json == {"predictions": [2.5]}
    # Balancers and monitors ask so; a body that nobody sends must not be waited for.
    for path, status in (("/ping", 200), ("/v1/models/half_plus_two", 200), ("/invocations", 405)):
        head = request(url, "HEAD", path)
        assert (head.status, head.body) == (status, b"")
    children = psutil.Process(alone.process.pid).children()
    assert len(children) == 3
    victim = min(children, key=lambda child: child.pid)
    victim.kill()
    wait_until(lambda: not is_alive(victim), "the end of one server")
    statuses = [invoke(url, "1").status for _ in range(10)]
    # At most the one that was sent on the dead server's connection before its end was noticed.
    assert statuses.count(200) >= 9
    wait_until(
        lambda: len(psutil.Process(alone.process.pid).children()) == 3, "the replaced server"
    )
    alone.process.send_signal(signal.SIGINT)

    assert alone.wait_exit()[0] == 0


def test_the_port_of_the_environment_is_used(run_alone: Run, tiny_models: Path) -> None:
    """SageMaker says the port by SAGEMAKER_BIND_TO_PORT."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    alone = run_alone(tiny_models / "half_plus_two", SAGEMAKER_BIND_TO_PORT=str(port))

    assert alone.wait_ready() == f"http://127.0.0.1:{port}"


def test_a_taken_port_is_said_before_anything_is_loaded(run_alone: Run, tiny_models: Path) -> None:
    """The commonest mistake costs no wait."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        status, errors = run_alone(tiny_models / "half_plus_two", f"--port={port}").wait_exit()

    assert status == 4
    assert f"windtunnel: Cannot listen on 127.0.0.1:{port} (Address already in use)" in errors


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, "No SavedModel was found"),
        ({"SAGEMAKER_TFS_INSTANCE_COUNT": "x"}, "SAGEMAKER_TFS_INSTANCE_COUNT must be a whole"),
    ],
)
def test_what_cannot_start_is_said_in_a_sentence(
    run_alone: Run, tmp_path: Path, environment: dict[str, str], expected: str
) -> None:
    """No traceback for a wrong folder or a mistyped value."""
    status, errors = run_alone(tmp_path, "--port=0", **environment).wait_exit()

    assert status == 2
    assert expected in errors
    assert "Traceback" not in errors
