"""What waits for the threads is bounded, and every task is given away once."""

import asyncio
import threading

import pytest

from windtunnel.core import limits
from windtunnel.serving.modelserver.threads import Threads


class Held:
    """A task that runs until it is let go."""

    def __init__(self, size_bytes: int = 1) -> None:
        self.size_bytes = size_bytes
        self.let_go = threading.Event()
        self.ran_on = ""
        self.finished: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def run(self) -> None:
        self.let_go.wait()
        self.ran_on = threading.current_thread().name

    def finish(self) -> None:
        self.finished.set_result(threading.current_thread().name)


@pytest.mark.parametrize("bound", ["MODEL_SERVER_QUEUE_COUNT_MAX", "MODEL_SERVER_QUEUE_BYTES_MAX"])
def test_a_full_queue_says_no_and_a_finished_task_makes_room(
    bound: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that took everything would fail all of it for want of memory."""
    monkeypatch.setattr(limits, bound, 2)

    async def play() -> None:
        threads = Threads(1)
        tasks = [Held() for _ in range(4)]
        assert [threads.submit(task) for task in tasks[:3]] == [True, True, False]
        tasks[0].let_go.set()
        await tasks[0].finished
        assert threads.submit(tasks[3])
        for task in tasks:
            task.let_go.set()
        await tasks[3].finished
        assert (threads.task_count, threads.task_bytes) == (0, 0)
        threads.close()

    asyncio.run(play())


def test_a_single_body_larger_than_the_bound_is_still_served() -> None:
    """A bound on what waits must not refuse what need not wait."""

    async def play() -> None:
        threads = Threads(1)
        task = Held(limits.MODEL_SERVER_QUEUE_BYTES_MAX + 1)
        task.let_go.set()
        assert threads.submit(task)
        await task.finished
        threads.close()

    asyncio.run(play())


def test_work_is_done_on_a_thread_and_given_away_on_the_loops() -> None:
    """An answer is written where the connection lives."""

    async def play() -> None:
        threads = Threads(1)
        task = Held()
        task.let_go.set()
        threads.submit(task)
        assert await task.finished == threading.current_thread().name
        assert task.ran_on == "predict-0"
        threads.close()

    asyncio.run(play())


def test_a_task_that_fails_is_given_away_and_its_thread_goes_on() -> None:
    """A thread that ended would be missed by every request after."""

    class Failing(Held):
        def run(self) -> None:
            raise RuntimeError("against the contract")

    async def play() -> None:
        threads = Threads(1)
        failing, good = Failing(), Held()
        good.let_go.set()
        assert threads.submit(failing)
        assert threads.submit(good)
        await failing.finished
        await good.finished
        assert threads.is_whole
        assert threads.task_count == 0
        threads.close()

    asyncio.run(play())
