"""Containers forked from a zygote: started, supervised, ended, and never left behind."""

import os
import shutil
import signal
import threading
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from tests.processes import is_alive
from tests.serving.harness import MARK, Answer, Zygote, invoke, request, wait_until

from windtunnel.core.lifeline import MARK_VARIABLE

pytestmark = pytest.mark.slow


def test_a_container_is_a_process_group_of_its_own_where_it_was_told_to_be(
    zygote: Zygote, tiny_models: Path
) -> None:
    """Cores, priority, log and mark are the fleet's to choose; signals reach one container only."""
    container = zygote.start(
        tiny_models / "half_plus_two", nice=3, SAGEMAKER_TFS_INSTANCE_COUNT="2"
    )
    first, second = container.wait_listening()
    leader = psutil.Process(container.pid)

    assert first.endswith("/0.sock")
    assert second.endswith("/1.sock")
    assert invoke(first, "1").json == invoke(second, "1").json == {"predictions": [2.5]}
    for process in (leader, *container.servers()):
        assert os.getpgid(process.pid) == container.pid
        assert process.cpu_affinity() == [min(os.sched_getaffinity(0))]
        assert process.nice() == 3
        assert process.environ()[MARK_VARIABLE] == MARK
    assert "found model half_plus_two, version 123 (the default model)" in container.log
    assert "model servers: 2; cores: 1" in container.log
    assert container.stop() == 0


def test_what_has_no_effect_is_said_in_the_log(zygote: Zygote, tiny_models: Path) -> None:
    """The workshop sets 64 workers for an archive that has none."""
    container = zygote.start(tiny_models / "half_plus_two", SAGEMAKER_GUNICORN_WORKERS="64")
    container.wait_listening()

    assert "SAGEMAKER_GUNICORN_WORKERS=64 has no effect: the archive has no" in container.log
    container.stop()


def test_a_crashed_server_is_replaced_and_the_others_serve_on(
    zygote: Zygote, tiny_models: Path
) -> None:
    """A fault in one process is not the end of an instance."""
    container = zygote.start(tiny_models / "half_plus_two", SAGEMAKER_TFS_INSTANCE_COUNT="2")
    first, second = container.wait_listening()
    victim, other = sorted(container.servers(), key=lambda process: process.pid)
    victim.kill()

    report = container.reports.wait("restarted")
    assert report["status"] == -signal.SIGKILL
    assert invoke(first, "1").status == 200
    assert invoke(second, "1").status == 200
    assert is_alive(other)
    assert "killed by SIGKILL; it starts again in 0.2 s" in container.log
    container.stop()


def test_a_stop_lets_requests_in_hand_finish(zygote: Zygote, tiny_models: Path) -> None:
    """SageMaker gives 30 seconds; an answer that was under way must arrive."""
    container = zygote.start(tiny_models / "tiny_conv")
    (address,) = container.wait_listening()
    row = "[" + ",".join(["[1,2,3]"] * 8) + "]"
    picture = "[" + ",".join([row] * 8) + "]"
    answers: list[Answer] = []
    body = "[" + ",".join([picture] * 8000) + "]"
    asking = threading.Thread(target=lambda: answers.append(invoke(address, body)))
    server = container.servers()[0]
    before_s = server.cpu_times().user
    asking.start()
    # Under way as soon as the server has begun to work on it.
    wait_until(lambda: server.cpu_times().user > before_s, "the request to arrive")
    status = container.stop()
    asking.join()

    assert status == 0
    assert answers[0].status == 200
    assert len(answers[0].json["predictions"]) == 8000


@pytest.mark.parametrize(
    ("environment", "damage", "reason"),
    [
        ({"SAGEMAKER_TFS_INSTANCE_COUNT": "none"}, None, "SAGEMAKER_TFS_INSTANCE_COUNT must be"),
        ({}, "no model", "No SavedModel was found"),
        ({}, "empty script", "code/inference.py defines neither `handler` nor both"),
        ({}, "wrong script", "No module named 'nowhere' (code/inference.py:2)"),
        ({}, "garbage", "TensorFlow cannot load half_plus_two/00000123"),
        ({"SAGEMAKER_TFS_DEFAULT_MODEL_NAME": "x"}, None, "the archive has only half_plus_two"),
    ],
)
def test_what_cannot_be_served_fails_at_once_with_the_reason(
    zygote: Zygote,
    tiny_models: Path,
    tmp_path: Path,
    environment: dict[str, str],
    damage: str | None,
    reason: str,
) -> None:
    """An endpoint's FailureReason is this sentence; a restart would only repeat it."""
    directory = tmp_path / "model"
    shutil.copytree(tiny_models / "half_plus_two", directory)
    if damage == "no model":
        shutil.rmtree(directory / "half_plus_two")
    elif damage in {"empty script", "wrong script"}:
        (directory / "code").mkdir()
        text = "" if damage == "empty script" else "import json\nimport nowhere\n"
        (directory / "code" / "inference.py").write_text(text)
    elif damage == "garbage":
        for path in directory.rglob("saved_model.pb"):
            path.write_bytes(b"not a model")
    container = zygote.start(directory, nice=0, **environment)

    assert reason in container.reports.wait("failed")["reason"]
    assert container.wait_exit() == 1
    assert reason in container.log


def test_variables_that_tensorflow_reads_at_import_count(zygote: Zygote, tiny_models: Path) -> None:
    """A fork of an imported TensorFlow would not notice them, so such a container imports anew."""
    container = zygote.start(tiny_models / "half_plus_two", TF_NUM_INTRAOP_THREADS="1")
    (address,) = container.wait_listening()

    assert invoke(address, "1").json == {"predictions": [2.5]}
    assert "serving.zygote" in " ".join(psutil.Process(container.pid).cmdline())
    assert f"--model-dir={tiny_models / 'half_plus_two'}" in psutil.Process(container.pid).cmdline()
    assert container.stop() == 0


def test_a_server_that_does_not_load_in_time_is_given_up(
    zygote: Zygote, tiny_models: Path, tmp_path: Path
) -> None:
    """SAGEMAKER_TFS_WAIT_TIME_SECONDS: waiting for ever would look like starting."""
    directory = tmp_path / "model"
    shutil.copytree(tiny_models / "half_plus_two", directory)
    (model,) = directory.rglob("saved_model.pb")
    model.unlink()
    # A reader of a pipe waits for a writer that never comes.
    os.mkfifo(model)
    container = zygote.start(directory, SAGEMAKER_TFS_WAIT_TIME_SECONDS="1")

    assert "not available within 1 s" in container.reports.wait("failed")["reason"]
    assert container.wait_exit() == 1


def test_nothing_survives_a_zygote_that_is_killed(
    make_zygote: Callable[[], Zygote], tiny_models: Path
) -> None:
    """A cloud that is killed with -9 must not leave model servers behind."""
    zygote = make_zygote()
    zygote.lines.wait("warm")
    container = zygote.start(tiny_models / "half_plus_two")
    container.wait_listening()
    processes = [psutil.Process(container.pid), *container.servers()]
    zygote.process.kill()

    for process in processes:
        wait_until(lambda process=process: not is_alive(process), "the end of the forks")  # type: ignore[misc]


def test_a_leader_that_is_killed_takes_its_servers_along(zygote: Zygote, tiny_models: Path) -> None:
    """A server without a leader would serve a deleted endpoint."""
    container = zygote.start(tiny_models / "half_plus_two")
    container.wait_listening()
    servers = container.servers()
    os.kill(container.pid, signal.SIGKILL)

    assert container.wait_exit() == -signal.SIGKILL
    for server in servers:
        wait_until(lambda server=server: not is_alive(server), "the end of the server")  # type: ignore[misc]


def test_a_zygote_ends_with_its_control_socket(
    make_zygote: Callable[[], Zygote],
) -> None:
    """A cloud that is gone no longer holds the other end."""
    zygote = make_zygote()
    zygote.lines.wait("warm")

    assert psutil.Process(zygote.process.pid).num_threads() == 1
    assert zygote.close() == 0


def test_ping_turns_away_what_a_draining_server_should_not_get(
    zygote: Zygote, tiny_models: Path
) -> None:
    """After SIGTERM new connections find nobody: the router looks elsewhere."""
    container = zygote.start(tiny_models / "half_plus_two")
    (address,) = container.wait_listening()
    assert request(address, "GET", "/ping").status == 200
    assert container.stop() == 0

    with pytest.raises((ConnectionError, FileNotFoundError)):
        request(address, "GET", "/ping")
