"""Run one job: `python -m windtunnel.compiler JOB.json`.

Lines of JSON on stdout: {"event": "progress", "text", "done"} as it goes on, then one of
{"event": "completed", "output", "derived_data_input_config", "engine", "summary"} and
{"event": "failed", "kind", "reason"}, with exit status 0 and 1. stderr is the log.
"""

import json
import logging
import os
import sys
from pathlib import Path
from typing import IO

from windtunnel.core.lifeline import end_with_parent

# Read by libraries when they are imported.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "1")
# The log has the whole of it; AWS's FailureReason has at most 1,024 (botocore's model).
_REASON_CHARACTERS_MAX = 4096


def main(arguments: list[str]) -> int:
    """Run the job that the one argument names."""
    from windtunnel.compiler.errors import CompileError
    from windtunnel.compiler.job import read_job
    from windtunnel.compiler.pipeline import compile_job

    end_with_parent()
    out = _take_stdout()
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(message)s")

    def say(**event: object) -> None:
        out.write(json.dumps(event) + "\n")
        out.flush()

    try:
        (path,) = arguments
        outcome = compile_job(
            read_job(Path(path)),
            lambda text, done: say(event="progress", text=text, done=round(done, 3)),
        )
    except CompileError as error:
        logging.getLogger(__name__).info("%s", error)
        # A converter's story may be longer than a line.
        say(event="failed", kind=error.kind, reason=str(error)[:_REASON_CHARACTERS_MAX])
        return 1
    except MemoryError:
        say(event="failed", kind="InternalError", reason="The machine has not enough memory.")
        return 1
    except Exception as error:
        logging.getLogger(__name__).exception("the job failed")
        say(event="failed", kind="InternalError", reason=f"{type(error).__name__}: {error}")
        return 1
    say(
        event="completed",
        output=str(outcome.output),
        derived_data_input_config=outcome.derived_data_input_config,
        engine=outcome.engine,
        summary=outcome.summary,
    )
    return 0


def _take_stdout() -> IO[str]:
    """Keep stdout for events: what libraries print goes to the log."""
    own = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return own


if __name__ == "__main__":
    exit_status = main(sys.argv[1:])
    sys.stderr.flush()
    # All is said and written; engines' threads have no part in how a process that is done ends.
    os._exit(exit_status)
