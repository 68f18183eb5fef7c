"""Requests of several clients run as one, through a real model server.

The container has one core here, and so four threads that wait for a batch.
"""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from tests.serving.harness import Answer, Container, Zygote, invoke

pytestmark = pytest.mark.slow

# Longer than a test may take: a batch runs because it is full, or the test fails.
NEVER = "100000000"
Ask = Callable[..., Answer]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory of one model with many signatures."""
    directory = tmp_path_factory.mktemp("batching")
    program = Path(__file__).with_name("batching_models.py")
    subprocess.run([sys.executable, program, directory], check=True, capture_output=True)
    return directory


@pytest.fixture
def patient(zygote: Zygote, models: Path) -> Iterator[str]:
    """A model server that runs full batches of four rows and nothing less."""
    yield from serve(zygote, models, SAGEMAKER_TFS_BATCH_TIMEOUT_MICROS=NEVER)


@pytest.fixture(scope="module")
def hasty(zygote: Zygote, models: Path) -> Iterator[Container]:
    """A model server with the container's defaults but for the log."""
    container = start(zygote, models, SAGEMAKER_TFS_NGINX_LOGLEVEL="info")
    container.wait_listening()
    yield container
    container.stop()


def start(zygote: Zygote, models: Path, **environment: str) -> Container:
    environment["SAGEMAKER_TFS_ENABLE_BATCHING"] = "true"
    environment["SAGEMAKER_TFS_MAX_BATCH_SIZE"] = "4"
    return zygote.start(models, nice=0, **environment)


def serve(zygote: Zygote, models: Path, **environment: str) -> Iterator[str]:
    container = start(zygote, models, **environment)
    (address,) = container.wait_listening()
    yield address
    container.stop()


def document(rows: list[Any], signature: str = "serving_default") -> str:
    return json.dumps({"signature_name": signature, "instances": rows})


def ask_at_once(address: str, bodies: list[str]) -> list[Answer]:
    with ThreadPoolExecutor(len(bodies)) as clients:
        return list(clients.map(lambda body: invoke(address, body), bodies))


def test_four_clients_share_one_run_and_get_their_own_rows(patient: str) -> None:
    """What batching is for; and nobody may see another client's answer."""
    bodies = [document([number]) for number in range(4)]
    answers = ask_at_once(patient, bodies)

    assert [answer.json for answer in answers] == [
        {"predictions": [{"rows": 4, "twice": 2.0 * number}]} for number in range(4)
    ]


def test_requests_of_several_rows_are_joined_up_to_the_largest_batch(patient: str) -> None:
    """Rows are counted, not requests; an answer has its request's rows in their order."""
    answers = ask_at_once(patient, [document([1, 2, 3]), document([9])])

    assert [row["twice"] for row in answers[0].json["predictions"]] == [2.0, 4.0, 6.0]
    assert answers[1].json == {"predictions": [{"rows": 4, "twice": 18.0}]}


def test_shapes_are_never_mixed(patient: str) -> None:
    """Pictures of two sizes cannot be one tensor; each size waits for its own kind."""
    bodies = [document([[1] * width] * 2, "table") for width in (2, 3, 2, 3)]
    answers = ask_at_once(patient, bodies)

    for width, answer in zip((2, 3, 2, 3), answers, strict=True):
        assert answer.json == {"predictions": [{"rows": 4, "twice": [2.0] * width}] * 2}


def test_one_clients_bad_row_is_that_clients_failure(patient: str) -> None:
    """TensorFlow fails the whole run for it; the others are run again without it."""
    bodies = [document([number]) for number in (1, 2, 3, -1)]
    *good, bad = ask_at_once(patient, bodies)

    assert bad.status == 400
    assert [answer.json["predictions"][0]["rows"] for answer in good] == [1, 1, 1]
    assert [answer.json["predictions"][0]["twice"] for answer in good] == [2.0, 4.0, 6.0]


def test_a_request_larger_than_a_batch_is_refused(patient: str) -> None:
    """As by TensorFlow Serving, in its words."""
    answer = invoke(patient, document([1, 2, 3, 4, 5]))

    assert answer.status == 400
    assert answer.json == {"error": "Task size 5 is larger than maximum input batch size 4"}


def test_a_full_queue_refuses_and_keeps_what_it_has(zygote: Zygote, models: Path) -> None:
    """Four requests of three rows and room for one batch: one waits, three are turned away."""
    environment = {
        "SAGEMAKER_TFS_BATCH_TIMEOUT_MICROS": NEVER,
        "SAGEMAKER_TFS_MAX_ENQUEUED_BATCHES": "1",
    }
    for address in serve(zygote, models, **environment):
        refused: list[Answer] = []
        with ThreadPoolExecutor(4) as clients:
            waiting = [clients.submit(invoke, address, document([1, 2, 3])) for _ in range(4)]
            while len(refused) < 3:
                refused = [each.result() for each in waiting if each.done()]
            completing = invoke(address, document([4]))
            statuses = sorted(each.result().status for each in waiting)

        assert completing.json["predictions"][0]["rows"] == 4
        assert statuses == [200, 503, 503, 503]
        assert "queue to which this task was submitted is full" in refused[0].json["error"]


def test_a_lone_client_is_answered_when_the_time_out_is_over(hasty: Container) -> None:
    """Nobody comes to fill the batch, and nobody has to."""
    answer = invoke(address_of(hasty), document([21]))

    assert answer.json == {"predictions": [{"rows": 1, "twice": 42.0}]}
    assert "batching: up to 4 rows, 1 ms, 1 batch threads, 1 batches enqueued" in hasty.log
    assert "ran a batch of 1 rows of 1 requests" in hasty.log


def test_signatures_without_rows_run_alone_and_the_log_says_why(hasty: Container) -> None:
    """A switch that does nothing for a model must not look as if it did."""
    answers = ask_at_once(
        address_of(hasty),
        ['{"signature_name": "summed", "inputs": [1, 2, 3, 4, 5]}', document([1, 2], "of_two")],
    )

    assert answers[0].json == {"outputs": 15.0}
    assert [row["rows"] for row in answers[1].json["predictions"]] == [2, 2]
    notice = "SAGEMAKER_TFS_ENABLE_BATCHING=true has no effect on told/1, signature"
    assert f"{notice} summed: its output sum has no batch dimension." in hasty.log
    assert f"{notice} of_two: its input x has always 2 rows." in hasty.log


def test_outputs_that_are_not_by_row_are_found_out(zygote: Zygote, models: Path) -> None:
    """The shape of an output may say nothing; its first batch does, and costs nobody an answer."""
    container = start(zygote, models, SAGEMAKER_TFS_BATCH_TIMEOUT_MICROS=NEVER)
    (address,) = container.wait_listening()
    bodies = [document([number, number + 1], "paired") for number in (1, 5)]
    for _ in range(2):
        answers = ask_at_once(address, bodies)

        assert [answer.json for answer in answers] == [
            {"predictions": [[1.0, 2.0]]},
            {"predictions": [[5.0, 6.0]]},
        ]
    assert container.stop() == 0
    reason = "signature paired: its output pairs has 2 rows for a batch of 4."
    assert container.log.count(reason) == 1


def address_of(container: Container) -> str:
    return f"unix:{container.zygote._directory / container.id / '0.sock'}"
