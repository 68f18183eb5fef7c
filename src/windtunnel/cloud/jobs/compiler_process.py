"""One run of the compiler: a supervised process that is told by a file and says how it goes.

`COMMAND… JOB_FILE`. The file is JSON: the model's archive, where to write the compiled one, its
report and what may be kept for the next time, the lease that whoever measures here holds, and what
the request says. The process writes lines of JSON to stdout, and its log to stderr:

    {"event": "progress", "text": …, "done": 0.0 … 1.0}
    {"event": "completed", "derived_data_input_config": …, "engine": …, "summary": …}   the last
    {"event": "failed", "kind": "ClientError" | "InternalError", "reason": …}           or this

Rule: whatever becomes of the process, the job has a reason; one that dies without a word is told of
by how it died.
"""

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from windtunnel.cloud.fleet.environment import base_environment
from windtunnel.cloud.fleet.logs import Log
from windtunnel.cloud.fleet.zygote import describe_status
from windtunnel.core import limits
from windtunnel.core.supervision import Supervisor

PROGRAM = (sys.executable, "-I", "-m", "windtunnel.compiler")

# Of 1,000: half of the machine's memory, as it were, on top of what it has (proc(5)).
_OOM_SCORE = 500

Event = dict[str, Any]


class CompilationFailedError(Exception):
    """A job that cannot be completed; the reason begins with whose fault it is, as Neo's do."""

    def __init__(self, kind: str, reason: str) -> None:
        super().__init__(f"{kind}: {reason}")
        self.kind = kind
        self.reason = reason

    @property
    def failure_reason(self) -> str:
        """What the job's description says."""
        return f"{self.kind}: {self.reason}"


async def run(
    supervisor: Supervisor,
    program: Sequence[str],
    order: Mapping[str, Any],
    folder: Path,
    log: Log,
    on_progress: Callable[[str], None],
) -> Event:
    """Run the compiler to its end and return its last word, or raise with why there is none.

    Cancelling this ends the process and all below it.
    """
    job_file = folder / "job.json"
    job_file.write_text(json.dumps(order))
    process = await supervisor.start(
        [*program, str(job_file)],
        # What it unpacks and makes on the way goes with the job's folder, however it ends.
        environment={**base_environment(), "TMPDIR": str(folder)},
        output=asyncio.subprocess.PIPE,
        errors=log.descriptor,
        directory=folder,
        line_bytes_max=limits.COMPILE_EVENT_BYTES_MAX,
    )
    _yield_to_what_serves(process.pid)
    try:
        assert process.stdout is not None
        last = await _listen(process.stdout, on_progress)
        status = await process.wait()
    finally:
        await supervisor.stop(process, limits.COMPILATION_STOP_GRACE_S)
    if last.get("event") == "completed" and status == 0:
        return last
    if last.get("event") == "failed":
        kind = "ClientError" if last.get("kind") == "ClientError" else "InternalError"
        raise CompilationFailedError(kind, str(last.get("reason")))
    raise CompilationFailedError("InternalError", _obituary(status, log))


def _yield_to_what_serves(pid: int) -> None:
    """Give a compiler an instance's priority, and have the kernel kill it first of all.

    When memory runs out one job fails, and not the cloud with all that it serves.
    """
    with contextlib.suppress(OSError):
        ours = os.getpriority(os.PRIO_PROCESS, 0)
        os.setpriority(os.PRIO_PROCESS, pid, min(19, ours + limits.INSTANCE_NICENESS))
        Path(f"/proc/{pid}/oom_score_adj").write_text(str(_OOM_SCORE))


async def _listen(stdout: asyncio.StreamReader, on_progress: Callable[[str], None]) -> Event:
    """Pass on how it goes, each thing once; return what was said last."""
    last: Event = {}
    text: object = None
    while True:
        try:
            line = await stdout.readline()
            if not line:
                return last
            said = json.loads(line)
        except ValueError:
            # No JSON, or a line without end: a library that prints must not fail the job.
            continue
        if not isinstance(said, dict):
            continue
        last = said
        if said.get("event") == "progress" and said.get("text") != text:
            text = said.get("text")
            on_progress(f"{float(said.get('done', 0.0)):.0%} {text}")


def _obituary(status: int, log: Log) -> str:
    if status == -signal.SIGKILL:
        return (
            "The compiler was killed by SIGKILL, which this cloud did not send: most likely the "
            "machine ran out of memory. Free some, or compile a smaller model or shape."
        )
    said = log.tail()
    words = f" Its last words: {said}" if said else ""
    return f"The compiler gave no result: {describe_status(status)}.{words}"
