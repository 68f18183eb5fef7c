"""A compiler that keeps the real one's interface and does what its options say.

`compiler_program.py JOB_FILE`. Its archive holds the order it was given, so that a test can read
what a job tells its compiler.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path
from typing import Any


def say(**message: Any) -> None:
    """Write one line of JSON."""
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


def complete(order: dict[str, Any], job_file: str) -> None:
    """Make an archive of the order and a report."""
    for done in (0.5, 0.6):
        say(event="progress", text="Measuring.", done=done)
    with tarfile.open(order["output"], "w:gz") as archive:
        archive.add(job_file, "order.json")
        archive.add(order["archive"], "model")
        if order["calibration"] is not None:
            archive.add(order["calibration"], "calibration")
    write_reports(order)
    say(
        event="completed",
        output=order["output"],
        derived_data_input_config='{"inputs": [1, 4]}',
        engine="openvino",
        summary="Twice as fast.",
    )


def write_reports(order: dict[str, Any]) -> None:
    """Write what was tried."""
    for suffix in ("json", "html"):
        (Path(order["report_dir"]) / f"report.{suffix}").write_text(f"a report in {suffix}")


def main() -> int:
    """Do as the options say."""
    job_file = sys.argv[1]
    order = json.loads(Path(job_file).read_text())
    options = json.loads(order["compiler_options"] or "{}")
    act = options.get("act", "complete")
    if "note" in options:
        with Path(options["note"]).open("a") as file:
            file.write(f"{order['data_input_config']}\n")
    sys.stderr.write(f"I was told to {act}.\n")
    sys.stderr.flush()
    match act:
        case "complete":
            sys.stdout.write("a library that prints\n")
            complete(order, job_file)
        case "find-nothing":
            write_reports(order)
            say(event="failed", kind="ClientError", reason="Nothing beats TensorFlow.")
            return 1
        case "fail":
            say(event="failed", kind="ClientError", reason="The model has no input x: it has y.")
            return 1
        case "crash":
            sys.stderr.write("everything is on fire\n")
            return 3
        case "lie":
            say(event="completed", output=order["output"], summary="There is nothing.")
        case "exhaust":
            os.kill(os.getpid(), signal.SIGKILL)
        case "hang":
            # What it has begun must go, and so must its children, which do not want to.
            Path(order["output"]).write_bytes(b"half")
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            child = subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(600)"])
            Path(options["pids"]).write_text(f"{os.getpid()} {child.pid} ")
            while not options.get("until") or not Path(options["until"]).exists():
                with contextlib.suppress(InterruptedError):
                    time.sleep(0.01)
            child.kill()
            complete(order, job_file)
    return 0


if __name__ == "__main__":
    sys.exit(main())
