"""SIGTERM with requests in hand: SageMaker gives a container 30 s to answer them.

Requests are slow because a batch waits for its time-out: what runs is the real thing.
"""

import signal
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.serving.harness import Alone, Answer, invoke, request, wait_until

pytestmark = pytest.mark.slow

Run = Callable[..., Alone]
# A lone request waits so long for others, which do not come.
SLOW = {
    "SAGEMAKER_TFS_ENABLE_BATCHING": "true",
    "SAGEMAKER_TFS_BATCH_TIMEOUT_MICROS": "2000000",
}
SCRIPT = (
    "def input_handler(data, context):\n    return data.read()\n\n"
    "def output_handler(response, context):\n    return response.content, 'application/json'\n"
)


def stop_with_requests_in_hand(alone: Alone, count: int) -> list[Answer]:
    """Send requests, SIGTERM when all of them are in hand; return the answers at the end."""
    url = alone.wait_ready()
    answers: list[Answer] = []
    clients = [
        threading.Thread(target=lambda: answers.append(invoke(url, '{"instances": [1]}')))
        for _ in range(count)
    ]
    for client in clients:
        client.start()
    line = f'windtunnel_container_requests_in_hand{{process="model_server"}} {count}.0'
    wait_until(lambda: line in request(url, "GET", "/metrics").body.decode(), "the requests")
    alone.process.send_signal(signal.SIGTERM)
    for client in clients:
        client.join()
    return answers


@pytest.mark.parametrize("servers", ["1", "2"])
def test_model_servers_answer_what_they_have(
    run_alone: Run, tiny_models: Path, servers: str
) -> None:
    """On the port itself, and behind the front, which ends first and waits for them."""
    alone = run_alone(
        tiny_models / "half_plus_two", "--port=0", **SLOW, SAGEMAKER_TFS_INSTANCE_COUNT=servers
    )
    answers = stop_with_requests_in_hand(alone, int(servers))
    status, log = alone.wait_exit()

    assert [answer.json for answer in answers] == [{"predictions": [2.5]}] * int(servers)
    assert status == 0
    assert "stopped with requests unanswered" not in log


@pytest.mark.parametrize("workers", ["1", "2"])
def test_script_workers_answer_what_they_have(
    run_alone: Run, scripted: Callable[..., Path], workers: str
) -> None:
    """A script in hand still asks its model, which therefore ends behind it."""
    alone = run_alone(scripted(SCRIPT), "--port=0", **SLOW, SAGEMAKER_GUNICORN_WORKERS=workers)
    answers = stop_with_requests_in_hand(alone, 1)
    status, log = alone.wait_exit()

    assert [answer.json for answer in answers] == [{"predictions": [2.5]}]
    assert status == 0
    assert "stopped with requests unanswered" not in log
