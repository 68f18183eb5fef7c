"""What a script can do wrong, and that only its own request pays for it."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.serving.harness import Alone, Answer, Container, Zygote, invoke, request, wait_until

pytestmark = pytest.mark.slow

Scripted = Callable[..., Path]
GOOD = '{"instances": [1]}'
# In seconds: longer than what goes well takes on a busy machine.
TIMEOUT = "3"

SCRIPT = """
import ctypes, os, pathlib, time
import requests
kept = []
def handler(data, context):
    command = data.read().decode()
    if command == "loop":
        while True:
            pass
    if command == "hold":
        # Native code that does not let go of the interpreter's lock.
        ctypes.PyDLL(None).sleep(600)
    if command == "crash":
        ctypes.string_at(0)
    if command == "leak":
        while True:
            kept.append(bytes(1 << 30))
    if command == "wait":
        pathlib.Path("waiting").touch()
        while not pathlib.Path("go on").exists():
            time.sleep(0.01)
        return "waited", "text/plain"
    if command == "pid":
        return str(os.getpid()), "text/plain"
    return requests.post(context.rest_uri, data=command).content, None
"""


@pytest.fixture
def start(zygote: Zygote, scripted: Scripted) -> Iterator[Callable[..., Container]]:
    """Start a container with the script above."""
    started: list[Container] = []

    def begin(**environment: str) -> Container:
        started.append(zygote.start(scripted(SCRIPT), nice=0, **environment))
        return started[-1]

    yield begin
    for container in started:
        container.stop()


class Asking(threading.Thread):
    """A request on its way."""

    def __init__(self, address: str, body: str) -> None:
        super().__init__()
        self._address = address
        self._body = body
        self.answer: Answer | Exception | None = None
        self.start()

    def run(self) -> None:
        try:
            self.answer = invoke(self._address, self._body)
        except OSError as error:
            self.answer = error

    def wait(self) -> Answer:
        self.join()
        assert isinstance(self.answer, Answer), self.answer
        return self.answer


def test_a_script_that_loops_costs_its_request_and_its_worker(
    start: Callable[..., Container],
) -> None:
    """The answer says what happened and at which line; a new worker takes over, others serve on."""
    container = start(SAGEMAKER_GUNICORN_WORKERS="2", SAGEMAKER_GUNICORN_TIMEOUT_SECONDS=TIMEOUT)
    first, second = container.wait_listening()
    other = invoke(second, "pid").body
    before = invoke(first, "pid").body
    looping = Asking(first, "loop")
    while looping.is_alive():
        assert invoke(second, GOOD).json == {"predictions": [2.5]}
    answer = looping.wait()

    assert answer.status == 504
    assert (
        f"did not answer within {TIMEOUT} s (SAGEMAKER_GUNICORN_TIMEOUT_SECONDS); it was at code/"
        in (answer.json["error"])
    )
    assert container.reports.wait("restarted")["server"] == 1
    assert invoke(first, "pid").body != before
    assert invoke(second, "pid").body == other
    assert container.log.count("a request took too long, here:") == 1


def test_a_script_that_holds_the_interpreter_is_ended_all_the_same(
    start: Callable[..., Container],
) -> None:
    """Nothing of Python runs any more in that worker; the log says where it stood."""
    container = start(SAGEMAKER_GUNICORN_TIMEOUT_SECONDS=TIMEOUT)
    (address,) = container.wait_listening()
    holding = Asking(address, "hold")
    container.reports.wait("restarted")
    holding.join()

    assert isinstance(holding.answer, OSError)
    assert "Timeout (0:00:0" in container.log
    assert "/code/inference.py" in container.log
    assert invoke(address, GOOD).status == 200


def test_a_crash_of_native_code_is_told_with_the_line_that_called_it(
    start: Callable[..., Container],
) -> None:
    """A segmentation fault in one worker is an incident, not an outage."""
    container = start(SAGEMAKER_GUNICORN_WORKERS="2")
    first, second = container.wait_listening()
    crashing = Asking(first, "crash")
    container.reports.wait("restarted")
    crashing.join()

    assert isinstance(crashing.answer, OSError)
    assert "Fatal Python error: Segmentation fault" in container.log
    assert "/code/inference.py" in container.log
    assert "script worker 0 ended: killed by SIGSEGV; it starts again" in container.log
    assert invoke(second, GOOD).status == 200
    assert invoke(first, GOOD).status == 200


def test_a_script_that_takes_all_memory_is_told_so_and_replaced(
    start: Callable[..., Container],
) -> None:
    """Otherwise the kernel would end whatever is largest, a model server say."""
    container = start()
    (address,) = container.wait_listening()
    answer = Asking(address, "leak").wait()

    assert answer.status == 500
    assert (
        "MemoryError: the script asked for more memory than there is, at code/inference.py:"
        in (answer.json["error"])
    )
    # At once: what comes while there is no worker waits for the next one.
    assert invoke(address, GOOD).status == 200


def test_what_a_replaced_worker_cannot_end_is_told_why(start: Callable[..., Container]) -> None:
    """It did nothing wrong; a connection that closes would say nothing of what happened."""
    container = start()
    (address,) = container.wait_listening()
    waiting = Asking(address, "wait")
    sockets = Path(address.removeprefix("unix:")).parent
    wait_until((sockets / "waiting").exists, "the script to wait")
    assert invoke(address, "leak").status == 500
    answer = waiting.wait()

    assert answer.status == 503
    assert (
        "This script worker is replaced: the script asked for more memory" in answer.json["error"]
    )


def test_a_request_that_waits_too_long_is_told_so(start: Callable[..., Container]) -> None:
    """As nginx does it; a worker of class sync has one request at a time, the others queue."""
    container = start(
        SAGEMAKER_GUNICORN_WORKER_CLASS="sync",
        SAGEMAKER_GUNICORN_TIMEOUT_SECONDS="0",
        SAGEMAKER_NGINX_PROXY_READ_TIMEOUT_SECONDS=TIMEOUT,
    )
    (address,) = container.wait_listening()
    waiting = Asking(address, "wait")
    sockets = Path(address.removeprefix("unix:")).parent
    wait_until((sockets / "waiting").exists, "the script to wait")
    queued = Asking(address, GOOD)

    for asking in (waiting, queued):
        answer = asking.wait()
        assert answer.status == 504
        assert answer.json["error"] == (
            f"No answer came within {TIMEOUT} s (SAGEMAKER_NGINX_PROXY_READ_TIMEOUT_SECONDS)."
        )
    (sockets / "go on").touch()
    assert invoke(address, GOOD).status == 200
    assert request(address, "GET", "/ping").status == 200


def test_what_waits_in_a_worker_that_is_replaced_is_told_why(
    start: Callable[..., Container],
) -> None:
    """A client that knows that its request was not begun can send it again."""
    container = start(
        SAGEMAKER_GUNICORN_WORKER_CLASS="sync", SAGEMAKER_GUNICORN_TIMEOUT_SECONDS=TIMEOUT
    )
    (address,) = container.wait_listening()
    asked = [Asking(address, "loop"), Asking(address, "loop")]
    statuses = sorted(asking.wait().status for asking in asked)
    said = [asking.wait().json["error"] for asking in asked]

    assert statuses == [503, 504]
    assert all("This script worker is replaced: the script did not answer" in text for text in said)


def test_a_crash_is_an_answer_where_a_container_is_alone(
    run_alone: Callable[..., Alone], scripted: Scripted
) -> None:
    """A connection that closes looks like a broken network; on SageMaker nginx answers 502."""
    alone = run_alone(scripted(SCRIPT), "--port=0")
    url = alone.wait_ready()
    crashed = invoke(url, "crash")

    assert crashed.status == 502
    assert "The process that had the request gave no answer" in crashed.json["error"]
    # What comes next waits for the next worker.
    assert invoke(url, GOOD).json == {"predictions": [2.5]}
