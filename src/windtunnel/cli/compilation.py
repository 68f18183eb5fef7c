"""`windtunnel compile`: what SageMaker Neo does, on this machine and in the open."""

import asyncio
import json
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from windtunnel.cli import options
from windtunnel.core import limits
from windtunnel.core.errors import UsageError, WindtunnelError
from windtunnel.core.home import Home

if TYPE_CHECKING:
    from windtunnel.cli.progress import StderrProgress

# `-P` keeps the directory that the user happens to stand in from shadowing modules.
_COMPILER = (sys.executable, "-P", "-m", "windtunnel.compiler")
_STOP_GRACE_S = 2.0
_SUFFIX = ".tar.gz"
_REPORT = "report"
# Its head, and a cell for each row.
_Column = tuple[str, list[str]]

_ArchiveArgument = Annotated[
    Path,
    typer.Argument(
        metavar="MODEL.tar.gz", help="A model, packed for SageMaker.", show_default=False
    ),
]
_OutOption = Annotated[
    Path,
    typer.Option(
        "--out",
        metavar="FILE",
        help="The compiled archive to write; its report goes beside it.",
        show_default=False,
    ),
]
_TargetOption = Annotated[
    str,
    typer.Option(
        "--target",
        help="local: this machine. Else a family of instances, as SageMaker Neo calls it: ml_c5, "
        "ml_c7i, ml_c7g, ml_g4dn, …",
    ),
]
_ShapeOption = Annotated[
    str | None,
    typer.Option(
        "--input-shape",
        metavar="JSON",
        help="A shape for each input: '{\"inputs\": [1, 256, 256, 3]}'; else the model's own.",
        show_default=False,
    ),
]
_FrameworkOption = Annotated[
    str, typer.Option("--framework", help="What the model is: tensorflow, keras, tflite, onnx.")
]
_CalibrationOption = Annotated[
    Path | None,
    typer.Option(
        "--calibration",
        metavar="FILE.npz",
        help="Samples, an array for each input: int8 is tried too, and answers are compared on "
        "them.",
        show_default=False,
    ),
]
_OptionsOption = Annotated[
    str | None,
    typer.Option(
        "--options",
        metavar="JSON",
        help='CompilerOptions: \'{"objective": "throughput", "precisions": ["f32", "bf16"]}\'.',
        show_default=False,
    ),
]
_NoCacheOption = Annotated[
    bool, typer.Option("--no-cache", help="Compile and measure again, whatever is known.")
]


def compile_model(
    archive: _ArchiveArgument,
    out: _OutOption,
    target: _TargetOption = "local",
    input_shape: _ShapeOption = None,
    framework: _FrameworkOption = "tensorflow",
    calibration: _CalibrationOption = None,
    compiler_options: _OptionsOption = None,
    no_cache: _NoCacheOption = False,  # noqa: FBT002
    home: options.HomeOption = None,
    as_json: options.JsonOption = False,  # noqa: FBT002
) -> None:
    """Compile a model: every form that the target can run is tried, and the fastest right one kept.

    [bold]Example[/bold]: windtunnel compile model.tar.gz --target local --out compiled.tar.gz

    Answers are compared with those of the model as it is, speeds are measured beside it, and a
    report says what was tried. Where nothing is faster, nothing is written.

    Exit status: 0 written, 1 not compiled (the reason says why), 2 wrong words or files.
    """
    _check(archive, out, calibration)
    resolved = Home.resolve(home)
    report_dir = out.with_name(f"{out.name.removesuffix(_SUFFIX)}-report")
    job = {
        "archive": str(archive.absolute()),
        "output": str(out.absolute()),
        "cache_dir": None if no_cache else str(resolved.compilations),
        "lease": str(resolved.measurement_lease),
        "framework": framework,
        "framework_version": None,
        "data_input_config": input_shape,
        "target": target,
        "compiler_options": compiler_options,
        "calibration": None if calibration is None else str(calibration.absolute()),
    }
    _check_words(job)
    resolved.prepare()
    from windtunnel.cli.progress import StderrProgress

    with tempfile.TemporaryDirectory(prefix="windtunnel-") as scratch:
        with StderrProgress() as progress:
            outcome = asyncio.run(_run(job, Path(scratch), resolved, progress))
        has_report = _take_report(Path(scratch) / _REPORT, report_dir)
    if outcome["event"] == "failed":
        told = f" Report: {report_dir / 'report.html'}." if has_report else ""
        raise WindtunnelError(f"{outcome['reason']}{told}")
    report = json.loads((report_dir / "report.json").read_text(encoding="utf-8"))
    if as_json:
        typer.echo(json.dumps({"output": str(out), "report": report}, indent=2))
        return
    _show(report)
    typer.echo(f"{outcome['summary']}\n{out}  {out.stat().st_size / 1e6:.1f} MB")
    typer.echo(f"report: {report_dir / 'report.html'}")


def _check(archive: Path, out: Path, calibration: Path | None) -> None:
    for path in (archive, calibration):
        if path is not None and not path.is_file():
            raise UsageError(f"{path} does not exist, or is no file.")
    if not out.name.endswith(_SUFFIX):
        raise UsageError(f"--out names the archive to write, and {out} does not end in {_SUFFIX}.")
    if not out.absolute().parent.is_dir():
        raise UsageError(f"--out {out}: the directory {out.parent} does not exist.")
    if out.is_dir():
        raise UsageError(f"--out {out} is a directory.")
    if out.exists() and out.samefile(archive):
        raise UsageError("--out is the model itself: write the compiled one somewhere else.")


def _check_words(job: Mapping[str, Any]) -> None:
    """Refuse what no compiler need be started for."""
    from windtunnel.compiler.errors import CompileError
    from windtunnel.compiler.job import make_job

    try:
        asked = make_job({**job, "report_dir": ""})
    except CompileError as error:
        raise UsageError(str(error)) from error
    if asked.options.calibration is not None and asked.calibration is None:
        raise UsageError("The option calibration is for S3: here, name the file by --calibration.")


def _take_report(made: Path, report_dir: Path) -> bool:
    """Put a report beside the compiled archive; return whether one was made."""
    files = [*made.iterdir()] if made.is_dir() else []
    for path in files:
        report_dir.mkdir(exist_ok=True)
        shutil.copyfile(path, report_dir / path.name)
    return bool(files)


async def _run(
    job: Mapping[str, Any], scratch: Path, home: Home, progress: "StderrProgress"
) -> Mapping[str, Any]:
    """Run the job in a process of its own; return its last event.

    All that it writes besides the output is in `scratch`, so that nothing is left of one that was
    killed.
    """
    from windtunnel.core.supervision import Supervisor, new_generation

    supervisor = Supervisor(new_generation(f"compile-{home.id}"))
    file = scratch / "job.json"
    file.write_text(json.dumps({**job, "report_dir": str(scratch / _REPORT)}), encoding="utf-8")
    process = await supervisor.start(
        [*_COMPILER, str(file)],
        environment={**os.environ, "TMPDIR": str(scratch)},
        output=asyncio.subprocess.PIPE,
        line_bytes_max=limits.COMPILE_EVENT_BYTES_MAX,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    log = asyncio.create_task(_tail(process.stderr))
    last: Mapping[str, Any] = {}
    said = ""
    try:
        async for line in process.stdout:
            last = json.loads(line)
            if last["event"] == "progress" and last["text"] != said:
                said = last["text"]
                progress.step(said)
        status = await process.wait()
    finally:
        await supervisor.stop_all(_STOP_GRACE_S)
        supervisor.close()
    told = await log
    if last.get("event") not in {"completed", "failed"}:
        reason = f"The compiler ended with status {status} before it had an answer. {told}"
        if status == -signal.SIGKILL:
            reason = "The compiler was killed, as the kernel does when memory runs out."
        return {"event": "failed", "kind": "InternalError", "reason": reason.strip()}
    return last


async def _tail(stream: asyncio.StreamReader) -> str:
    """Return the last line of a log that nobody else reads."""
    last = b""
    while True:
        try:
            line = await stream.readline()
        except ValueError:
            # Longer than a line may be; whoever stops reading stops whoever writes.
            continue
        if not line:
            return last.decode("utf-8", "replace")
        last = line.strip() or last


def _score(row: Mapping[str, Any]) -> str:
    if "score" not in row:
        return ""
    return "no answer" if row["score"] is None else f"{row['score']:.4f}"


def _latencies(rows: Sequence[Mapping[str, Any]]) -> list[_Column]:
    times = [
        "{:.2f} ({:.2f} to {:.2f})".format(row["times_baseline"], *row["times_baseline_95"])
        if "p50_ms" in row
        else ""
        for row in rows
    ]
    return [_p50s(rows), ("times baseline", times), _cpus(rows)]


def _throughputs(rows: Sequence[Mapping[str, Any]]) -> list[_Column]:
    """Return what decides where throughput does: each form with the setting that is best for it."""
    from windtunnel.compiler.figures import render_rates

    best = [
        max((each["inferences_per_s"] for each in row.get("throughput", [])), default=0.0)
        for row in rows
    ]
    rates = [text if rate else "" for rate, text in zip(best, render_rates(best), strict=True)]
    times = [f"{rate / best[0]:.2f}" if rate and best[0] else "" for rate in best]
    return [("inferences/s", rates), ("times baseline", times), _p50s(rows), _cpus(rows)]


def _p50s(rows: Sequence[Mapping[str, Any]]) -> _Column:
    return "p50 ms", [f"{row['p50_ms']:.3g}" if "p50_ms" in row else "not timed" for row in rows]


def _cpus(rows: Sequence[Mapping[str, Any]]) -> _Column:
    return "CPU ms", [f"{row['cpu_ms']:.3g}" if "cpu_ms" in row else "" for row in rows]


def _show(report: Mapping[str, Any]) -> None:
    """Print what was tried."""
    from rich.console import Console
    from rich.table import Table

    for notice in report["notices"]:
        typer.echo(f"note: {notice}", err=True)
    table = Table(box=None, pad_edge=False)
    rows = [report["baseline"], *report["candidates"]]
    speeds = _throughputs(rows) if report["objective"] == "throughput" else _latencies(rows)
    right = [
        (report["measure"], [_score(row) for row in rows]),
        ("at least", [f"{row['tolerance']:g}" if "tolerance" in row else "" for row in rows]),
    ]
    table.add_column("form")
    for head, _ in (*speeds, *right):
        # A head may be broken in two, and numbers are not.
        table.add_column(head, justify="right", no_wrap=head == "times baseline")
    for number, row in enumerate(rows):
        table.add_row(row["name"], *(cells[number] for _, cells in (*speeds, *right)))
    Console(highlight=False).print(table)
    typer.echo(f"speeds: {report['measured']}")
