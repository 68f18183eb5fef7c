"""Processes that never outlive what started them: real processes, really killed."""

import asyncio
import contextlib
import gc
import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
import uvloop
from tests import processes

from windtunnel.core import supervision
from windtunnel.core.supervision import MARK_VARIABLE, Supervisor, new_generation, sweep

pytestmark = pytest.mark.slow

HOME_ID = "test-supervision"
LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
    "asyncio": asyncio.new_event_loop,
    "uvloop": uvloop.new_event_loop,
}
# What a program of ours does: join first, say so, then live for ever.
JOINED = """
import pathlib, signal, sys
from windtunnel.core.supervision import join_parent
join_parent()
pathlib.Path(sys.argv[1]).write_text("ready")
while True:
    signal.pause()
"""
# A descendant that hides: a session of its own, deaf to SIGTERM. It says its process id. Told to
# leave, what started it is gone then: nobody is its parent any more.
HIDDEN = """
import os, pathlib, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
said = pathlib.Path(sys.argv[1])
if os.fork() == 0:
    os.setsid()
    temporary = said.with_suffix(".half")
    temporary.write_text(str(os.getpid()))
    temporary.rename(said)
elif sys.argv[2:] == ["leave"]:
    while not said.exists():
        time.sleep(0.001)
    sys.exit()
while True:
    signal.pause()
"""
# Stands in for `up`: starts what the last argument says, then waits to be killed.
PARENT = """
import asyncio, json, os, sys
import uvloop
from windtunnel.core.supervision import Supervisor

async def main():
    supervisor = Supervisor(sys.argv[2])
    start = getattr(supervisor, sys.argv[3])
    await start(json.loads(sys.argv[4]), environment=dict(os.environ))
    await asyncio.Event().wait()

factory = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}[sys.argv[1]]
with asyncio.Runner(loop_factory=factory) as runner:
    runner.run(main())
"""


@pytest.fixture(params=list(LOOPS))
def loop_name(request: pytest.FixtureRequest) -> str:
    """Run under both loops: tests and tools use asyncio's, `up` uses uvloop's."""
    return str(request.param)


@pytest.fixture
def runner(loop_name: str) -> Iterator[asyncio.Runner]:
    with asyncio.Runner(loop_factory=LOOPS[loop_name]) as made:
        yield made


@pytest.fixture
def generation() -> Iterator[str]:
    """A mark of this test's own; whatever a failing test leaves is killed by it."""
    made = new_generation(HOME_ID)
    yield made
    supervision._kill_marked(made)


def wait_until(condition: Callable[[], bool], what: str) -> None:
    deadline_s = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline_s, f"waited in vain: {what}"
        time.sleep(0.005)


def wait_text(path: Path) -> str:
    wait_until(lambda: path.exists() and path.read_text() != "", f"{path} is written")
    return path.read_text()


def wait_gone(pid: int) -> None:
    wait_until(lambda: not processes.is_alive(pid), f"process {pid} is gone")


def marked(generation: str) -> list[int]:
    """Return the processes that carry a mark, zombies not counted."""
    return [process.pid for process in processes.marked(generation)]


def python(program: str, *arguments: object) -> list[str]:
    return [sys.executable, "-c", textwrap.dedent(program), *map(str, arguments)]


@contextlib.contextmanager
def parent_running(
    loop_name: str, generation: str, method: str, arguments: list[str]
) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(
        python(PARENT, loop_name, generation, method, json.dumps(arguments))
    ) as parent:
        try:
            yield parent
        finally:
            parent.kill()


def test_a_program_ends_when_its_parent_is_killed(
    loop_name: str, generation: str, tmp_path: Path
) -> None:
    """Nothing of a model server is left by kill -9 of `up`."""
    program = python(JOINED, tmp_path / "ready")
    with parent_running(loop_name, generation, "start", program) as parent:
        wait_text(tmp_path / "ready")
        assert marked(generation)

        parent.kill()

        wait_until(lambda: not marked(generation), "the program is gone")


def test_a_command_and_its_grandchildren_end_when_the_parent_is_killed(
    loop_name: str, generation: str, tmp_path: Path
) -> None:
    """A user's shell script with background jobs leaves none of them behind."""
    script = f"sleep 1000 & sleep 1000 & echo ready > {tmp_path}/ready; wait"
    with parent_running(loop_name, generation, "start_command", ["sh", "-c", script]) as parent:
        wait_text(tmp_path / "ready")
        # The keeper, the shell and two sleepers.
        wait_until(lambda: len(marked(generation)) == 4, "all four run")

        parent.kill()

        wait_until(lambda: not marked(generation), "all are gone")


def test_a_hidden_grandchild_of_a_command_ends_when_the_parent_is_killed(
    generation: str, tmp_path: Path
) -> None:
    """Not even a daemon that left the session and ignores SIGTERM survives its keeper."""
    program = python(HIDDEN, tmp_path / "pid")
    with parent_running("uvloop", generation, "start_command", program) as parent:
        hidden = int(wait_text(tmp_path / "pid"))

        parent.kill()

        wait_gone(hidden)
        wait_until(lambda: not marked(generation), "the keeper is gone")


def test_the_next_start_sweeps_what_escaped(generation: str, tmp_path: Path) -> None:
    """What no signal reached is found by its mark, whatever session it moved to."""
    # Not under a keeper, so nobody adopts the one that hides.
    program = python(
        "from windtunnel.core.supervision import join_parent; join_parent()" + HIDDEN,
        tmp_path / "pid",
    )
    with parent_running("uvloop", generation, "start", program) as parent:
        hidden = int(wait_text(tmp_path / "pid"))
        parent.kill()
        parent.wait()
        wait_until(lambda: marked(generation) == [hidden], "only the hidden one is left")

    count = sweep(HOME_ID, keep_generation=new_generation(HOME_ID))

    assert count == 1
    assert not processes.is_alive(hidden)


def test_a_sweep_spares_other_homes_its_own_generation_and_its_ancestors(
    generation: str,
) -> None:
    """Two homes never meet, and an `up` started inside an instance does not kill its host."""
    sleeper = [sys.executable, "-c", "import signal; print(flush=True); signal.pause()"]
    sweeper = python(
        """
        import sys
        from windtunnel.core.supervision import sweep
        print(sweep(sys.argv[1], keep_generation=sys.argv[2]))
        """,
        HOME_ID,
        generation,
    )
    with contextlib.ExitStack() as stack:

        def start(mark: str) -> subprocess.Popen[bytes]:
            process = stack.enter_context(
                subprocess.Popen(
                    sleeper, env={**os.environ, MARK_VARIABLE: mark}, stdout=subprocess.PIPE
                )
            )
            stack.callback(process.kill)
            assert process.stdout is not None
            process.stdout.readline()
            return process

        stranger = start(f"{HOME_ID}-other:aaaa")
        mine = start(generation)
        stale = start(f"{HOME_ID}:aaaa")
        # The sweeper itself and the shell above it carry a stale mark too.
        shell = subprocess.run(
            ["sh", "-c", '"$@"; exit $?', "sh", *sweeper],
            env={**os.environ, MARK_VARIABLE: f"{HOME_ID}:bbbb"},
            stdout=subprocess.PIPE,
            check=True,
        )

        assert int(shell.stdout) == 1
        assert stale.wait() == -signal.SIGKILL
        assert stranger.poll() is None
        assert mine.poll() is None


def test_stop_asks_before_it_kills(runner: asyncio.Runner, generation: str, tmp_path: Path) -> None:
    """A model server may finish its requests and close its files."""
    program = """
    import pathlib, signal, sys
    def end(*_):
        pathlib.Path(sys.argv[1]).write_text("clean")
        sys.exit(3)
    signal.signal(signal.SIGTERM, end)
    print("ready", flush=True)
    while True:
        signal.pause()
    """

    async def story() -> int | None:
        supervisor = Supervisor(generation)
        process = await supervisor.start(
            python(program, tmp_path / "end"),
            environment=os.environ,
            output=asyncio.subprocess.PIPE,
        )
        assert process.stdout is not None
        await process.stdout.readline()
        await supervisor.stop(process, grace_s=20)
        supervisor.close()
        return process.returncode

    assert runner.run(story()) == 3
    assert (tmp_path / "end").read_text() == "clean"


def test_stop_kills_what_does_not_listen_wherever_it_hides(
    runner: asyncio.Runner, generation: str, tmp_path: Path
) -> None:
    """DeleteEndpoint ends even a container that ignores SIGTERM in two sessions."""
    # The environment is emptied on the way: only the keeper still knows the hidden one.
    program = ["env", "-i", *python(HIDDEN, tmp_path / "pid")]

    async def story() -> tuple[int, int]:
        supervisor = Supervisor(generation)
        process = await supervisor.start_command(program, environment=os.environ)
        hidden = int(await asyncio.to_thread(wait_text, tmp_path / "pid"))
        await supervisor.stop(process, grace_s=0.05)
        supervisor.close()
        return process.pid, hidden

    keeper, hidden = runner.run(story())

    wait_gone(hidden)
    assert not psutil.pid_exists(keeper), "a stopped process is reaped, not left as a zombie"


def test_what_a_process_leaves_in_its_group_ends_with_it(
    runner: asyncio.Runner, generation: str, tmp_path: Path
) -> None:
    """A crashed model server does not keep its workers' memory and ports."""
    program = """
    import os, pathlib, signal, sys
    child = os.fork()
    if child == 0:
        while True:
            signal.pause()
    pathlib.Path(sys.argv[1]).write_text(str(child))
    os._exit(1)
    """

    async def story() -> int:
        supervisor = Supervisor(generation)
        process = await supervisor.start(python(program, tmp_path / "pid"), environment=os.environ)
        status = await process.wait()
        # Stopping what ended long ago must not signal a number that may be a stranger's by now.
        await supervisor.stop(process, grace_s=1)
        supervisor.close()
        return status

    assert runner.run(story()) == 1
    wait_gone(int((tmp_path / "pid").read_text()))


def test_a_cancelled_stop_still_ends_the_process(
    runner: asyncio.Runner, generation: str, tmp_path: Path
) -> None:
    """An impatient caller leaves nothing running."""

    async def story() -> int:
        supervisor = Supervisor(generation)
        process = await supervisor.start(python(HIDDEN, tmp_path / "pid"), environment=os.environ)
        await asyncio.to_thread(wait_text, tmp_path / "pid")
        stopping = asyncio.create_task(supervisor.stop(process, grace_s=1000))
        await asyncio.sleep(0)
        stopping.cancel()
        await asyncio.wait({stopping})
        assert stopping.cancelled()
        await process.wait()
        await supervisor.stop_all(grace_s=0)
        supervisor.close()
        return process.pid

    wait_gone(runner.run(story()))


def test_stop_all_leaves_nothing_with_the_mark(
    runner: asyncio.Runner, generation: str, tmp_path: Path
) -> None:
    """After SIGTERM to `up` no process of it stays, not even one that hid."""

    async def story() -> None:
        supervisor = Supervisor(generation)
        for index in range(3):
            await supervisor.start_command(["sleep", "1000"], environment=os.environ)
            await supervisor.start(
                python(HIDDEN, tmp_path / f"pid{index}", "leave"), environment=os.environ
            )
        for index in range(3):
            await asyncio.to_thread(wait_text, tmp_path / f"pid{index}")
        # Three keepers, their three commands and the three that hid.
        while len(marked(generation)) < 9:
            await asyncio.sleep(0.01)
        await supervisor.stop_all(grace_s=0.05)
        supervisor.close()

    runner.run(story())

    assert marked(generation) == []


def test_the_lifeline_alone_ends_a_command(runner: asyncio.Runner, generation: str) -> None:
    """Where the kernel sends no parent-death signal, the pipe's end still tells."""

    async def story() -> int:
        supervisor = Supervisor(generation)
        process = await supervisor.start_command(["sleep", "1000"], environment=os.environ)
        supervisor.close()
        return await process.wait()

    assert runner.run(story()) == 128 + signal.SIGTERM


@pytest.mark.parametrize(
    ("command", "status", "said"),
    [
        (["sh", "-c", "exit 7"], 7, ""),
        (["sh", "-c", "kill -9 $$"], 128 + 9, ""),
        (["/no/such/program"], 127, "cannot run '/no/such/program': No such file or directory"),
        (["/"], 126, "cannot run '/': Permission denied"),
        # A command's own `--` and options are its own.
        (["printf", "%s|", "--nice=3", "--", "--cpus"], 0, "--nice=3|--|--cpus|"),
    ],
)
def test_a_keeper_ends_like_its_command(
    generation: str, command: list[str], status: int, said: str
) -> None:
    """A FailureReason can name the command's own exit status and message."""

    async def story() -> tuple[int | None, str]:
        supervisor = Supervisor(generation)
        process = await supervisor.start_command(
            command, environment=os.environ, output=asyncio.subprocess.PIPE
        )
        out, err = await process.communicate()
        supervisor.close()
        return process.returncode, (out + err).decode()

    got, text = asyncio.run(story())

    assert got == status
    assert said in text


def test_a_daemon_does_not_outlive_its_command(generation: str, tmp_path: Path) -> None:
    """A container whose first process ends is over, whatever it left in the background."""
    program = f"(setsid sleep 1000 & echo $! > {tmp_path}/pid) & wait; exit 5"

    async def story() -> int:
        supervisor = Supervisor(generation)
        process = await supervisor.start_command(["sh", "-c", program], environment=os.environ)
        status = await process.wait()
        supervisor.close()
        return status

    assert asyncio.run(story()) == 5
    wait_gone(int((tmp_path / "pid").read_text()))


def test_a_command_gets_its_cores_its_niceness_and_a_clean_environment(generation: str) -> None:
    """Settings hold from the command's first instruction, and our own variables stay ours."""
    cpu = min(os.sched_getaffinity(0))
    program = """
    import json, os
    print(json.dumps([sorted(os.sched_getaffinity(0)), os.nice(0), dict(os.environ)]))
    """

    async def story() -> bytes:
        supervisor = Supervisor(generation)
        process = await supervisor.start_command(
            python(program),
            environment={"A": "1", MARK_VARIABLE: "forged"},
            output=asyncio.subprocess.PIPE,
            cpus=[cpu],
            nice=3,
        )
        out, _ = await process.communicate()
        supervisor.close()
        return out

    cpus, nice, environment = json.loads(asyncio.run(story()))

    assert cpus == [cpu]
    assert nice == os.nice(0) + 3
    assert environment["A"] == "1"
    assert environment[MARK_VARIABLE] == generation
    assert not {"WINDTUNNEL_LIFELINE_FD", "WINDTUNNEL_PARENT_PID"} & set(environment)


def test_a_command_directory_cannot_shadow_what_the_keeper_imports(
    generation: str, tmp_path: Path
) -> None:
    """A model archive that brings a `select.py` does not become part of our own code."""
    (tmp_path / "select.py").write_text("raise SystemExit('shadowed')")

    async def story() -> int:
        supervisor = Supervisor(generation)
        process = await supervisor.start_command(
            ["true"],
            environment={**os.environ, "PYTHONPATH": str(tmp_path)},
            directory=tmp_path,
        )
        status = await process.wait()
        supervisor.close()
        return status

    assert asyncio.run(story()) == 0


def test_errors_can_go_elsewhere_than_answers(
    runner: asyncio.Runner, generation: str, tmp_path: Path
) -> None:
    """A program whose answer is read must not mix its log into it."""

    async def scenario() -> bytes:
        supervisor = Supervisor(generation)
        program = "import sys; sys.stdout.write('answer'); sys.stderr.write('log')"
        with (tmp_path / "log").open("wb") as log:
            process = await supervisor.start(
                [sys.executable, "-S", "-c", program],
                environment=os.environ,
                output=asyncio.subprocess.PIPE,
                errors=log,
            )
        answer, _ = await process.communicate()
        await supervisor.stop_all(1.0)
        supervisor.close()
        return answer

    assert runner.run(scenario()) == b"answer"
    assert (tmp_path / "log").read_text() == "log"


def test_starting_from_another_thread_is_refused(generation: str) -> None:
    """The parent-death signal would come when that thread ends, not when `up` does."""
    supervisor = Supervisor(generation)
    failures: list[BaseException] = []

    def start() -> None:
        try:
            asyncio.run(supervisor.start(["true"], environment={}))
        except AssertionError as error:
            failures.append(error)

    thread = threading.Thread(target=start)
    thread.start()
    thread.join()
    supervisor.close()

    assert failures


def test_killing_a_group_that_is_gone_is_no_error() -> None:
    """Two ways of noticing an end may meet."""
    with subprocess.Popen(["true"], start_new_session=True) as process:
        pass

    supervision.kill_group(process.pid)
    supervision.kill_tree(process.pid)


@pytest.mark.parametrize("loop_name", list(LOOPS))
@pytest.mark.parametrize("turns", range(6))
def test_a_start_that_is_given_up_leaves_nothing(
    loop_name: str, turns: int, tmp_path: Path
) -> None:
    """Whoever stops an instance while it starts, at whatever moment, has all of it stopped."""
    supervisor = Supervisor(new_generation(HOME_ID))

    async def story() -> None:
        starting = asyncio.create_task(
            supervisor.start(
                [sys.executable, "-c", JOINED, str(tmp_path / "said")],
                environment=os.environ,
                output=asyncio.subprocess.PIPE,
            )
        )
        for _ in range(turns):
            await asyncio.sleep(0)
        starting.cancel()
        await asyncio.wait({starting})
        if not starting.cancelled():
            await supervisor.stop(starting.result(), grace_s=0.0)

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with asyncio.Runner(loop_factory=LOOPS[loop_name]) as runner:
            runner.run(story())
        gc.collect()
    supervisor.close()

    assert [str(each.message) for each in caught] == []
    assert sweep(HOME_ID, keep_generation="none") == 0
