"""Where jobs are done: a folder, a log and the way from one S3 object to others.

    output writable? -> model's archive -> compiler -> report and compiled archive in S3

Rules: nothing is begun whose output could not be written; nothing is delivered before all of it is
there; what a job leaves behind is its log, and what it delivered. Everything that reads or writes
files of any size does so in a process of its own or in a thread.
"""

import asyncio
import contextlib
import json
import logging
import shutil
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from windtunnel.cloud.errors import UnavailableError
from windtunnel.cloud.fleet import logs
from windtunnel.cloud.fleet.downloads import ModelData
from windtunnel.cloud.fleet.environment import base_environment
from windtunnel.cloud.fleet.logs import Log
from windtunnel.cloud.fleet.model_data import ModelDataError
from windtunnel.cloud.foundation.s3.client import S3Client
from windtunnel.cloud.jobs import compiler_process, places
from windtunnel.cloud.jobs.compiler_process import CompilationFailedError, Event
from windtunnel.cloud.jobs.records import CompilationJob, Product
from windtunnel.core import limits
from windtunnel.core.clock import Clock
from windtunnel.core.home import Home
from windtunnel.core.supervision import Supervisor

logger = logging.getLogger(__name__)

_DELIVER_STOP_GRACE_S = 2.0
_ERROR_CHARACTERS_MAX = 300
# A FailureReason has 1,024 characters (botocore), and begins with the kind of failure.
_REASON_CHARACTERS = 1000
_REPORTS = ("json", "html")

# Returns the one object of a URL as a file in a folder, waiting so long at most.
Fetch = Callable[[str, float], Awaitable[ModelData]]


@dataclass(frozen=True)
class Bench:
    """One job's folder and log, while it is being done."""

    job: CompilationJob
    folder: Path
    log: Log

    @property
    def output(self) -> places.Output:
        """Where what is made is delivered to."""
        return places.output_of(self.job.request)

    @property
    def archive(self) -> Path:
        """Where the compiler writes what it made."""
        return self.folder / "compiled.tar.gz"

    @property
    def report(self) -> Path:
        """Where the compiler writes what it tried."""
        return self.folder / "report"

    def reports(self) -> list[tuple[str, Path]]:
        """Return the reports that there are, each with its key in S3."""
        files = ((suffix, self.report / f"report.{suffix}") for suffix in _REPORTS)
        return [(self.output.report_key(suffix), path) for suffix, path in files if path.is_file()]


class Workshop:
    """Does the jobs of one home."""

    def __init__(
        self,
        home: Home,
        supervisor: Supervisor,
        s3_socket: Path,
        fetch: Fetch,
        clock: Clock,
        *,
        program: Sequence[str] = compiler_process.PROGRAM,
    ) -> None:
        self._home = home
        self._supervisor = supervisor
        self._s3_socket = s3_socket
        self._s3 = S3Client(s3_socket)
        self._fetch = fetch
        self._clock = clock
        self._program = program
        self._log_folder = home.logs / "compilations"

    async def tidy(self) -> None:
        """Remove what jobs of an earlier cloud were making; note the end of their logs."""
        await asyncio.to_thread(self._tidy)

    @contextlib.asynccontextmanager
    async def bench(self, job: CompilationJob) -> AsyncIterator[Bench]:
        """Hold a place for a job; afterwards all that is left of it is its log."""
        folder = self._home.jobs / job.name.lower()
        log = Log(self._log_folder / f"{job.name}.log")
        done = asyncio.Event()
        tending = asyncio.create_task(self._tend(log, done))
        try:
            await asyncio.to_thread(_make_anew, folder)
            yield Bench(job, folder, log)
        finally:
            done.set()
            await asyncio.wait({tending})
            await asyncio.to_thread(self._put_away, log, folder)

    def say(self, bench: Bench, text: str) -> None:
        """Write a line into a job's log."""
        bench.log.say(text, self._clock.now_s())

    async def make(self, bench: Bench) -> Event:
        """Have a job's archive compiled; raise `CompilationFailedError` with why it is not."""
        request = bench.job.request
        try:
            await self._check_output(bench.output)
        except UnavailableError as error:
            raise CompilationFailedError("InternalError", error.message) from error
        url, calibration_url = request["input_config"]["s3_uri"], places.calibration_url(request)
        archive = await self._fetched(bench, "InputConfig.S3Uri", url)
        calibration = None
        if calibration_url is not None:
            member = "CompilerOptions calibration"
            calibration = await self._fetched(bench, member, calibration_url)
        order = {
            **places.order_of(request),
            "archive": archive,
            "calibration": calibration,
            "output": str(bench.archive),
            "report_dir": str(bench.report),
            "cache_dir": str(self._home.compilations),
            "lease": str(self._home.measurement_lease),
        }
        self.say(bench, f"Compiling it for {places.target_label(request['output_config'])}.")
        made = await compiler_process.run(
            self._supervisor,
            self._program,
            order,
            bench.folder,
            bench.log,
            lambda text: self.say(bench, text),
        )
        if not bench.archive.is_file():
            raise CompilationFailedError("InternalError", "The compiler wrote no archive.")
        self.say(bench, str(made.get("summary", "Compiled.")))
        return made

    async def explain(self, bench: Bench, error: CompilationFailedError) -> CompilationFailedError:
        """Deliver what a compiler wrote that found nothing worth having; return why, and where."""
        reports = bench.reports()
        if not reports:
            return error
        try:
            await self._put(bench.output, reports)
        except CompilationFailedError:
            # Why nothing was compiled says more than why that cannot be read closely.
            return error
        where = f" The report is s3://{bench.output.bucket}/{reports[0][0]}."
        told = error.reason[: max(0, _REASON_CHARACTERS - len(where))]
        return CompilationFailedError(error.kind, told + where)

    async def deliver(self, bench: Bench, made: Event) -> Product:
        """Put what a job made where it belongs: the archive last, so that it is never alone."""
        output = bench.output
        digest = await self._put(output, [*bench.reports(), (output.archive_key, bench.archive)])
        self.say(bench, f"Delivered {output.url}.")
        return Product(digest, made.get("derived_data_input_config"))

    async def _check_output(self, output: places.Output) -> None:
        # The longest key, so that none fails later.
        reason = await self._s3.why_not_writable(output.bucket, output.report_key("json"))
        if reason is not None:
            raise CompilationFailedError(
                "ClientError",
                f"OutputConfig.S3OutputLocation cannot be written ({reason}), so that nothing was "
                f"compiled: {output.url}",
            )

    async def _fetched(self, bench: Bench, member: str, url: str) -> str:
        """Return the path of what a member of the request says is in S3."""
        self.say(bench, f"Fetching {url}.")
        try:
            data = await self._fetch(url, limits.MODEL_DATA_TIMEOUT_S)
        except ModelDataError as error:
            raise CompilationFailedError("ClientError", f"{member}: {error.reason}") from error
        return str(next(data.directory.iterdir()))

    async def _put(self, output: places.Output, files: Sequence[tuple[str, Path]]) -> str:
        """Have files delivered, in this order; return the digest of the last."""
        words = [word for key, path in files for word in (key, str(path))]
        process = await self._supervisor.start(
            [
                *(sys.executable, "-I", "-m", "windtunnel.cloud.jobs.deliver"),
                *(f"--socket={self._s3_socket}", f"--bucket={output.bucket}", "--", *words),
            ],
            environment=base_environment(),
            output=asyncio.subprocess.PIPE,
            errors=asyncio.subprocess.PIPE,
        )
        try:
            out, err = await process.communicate()
        finally:
            await self._supervisor.stop(process, _DELIVER_STOP_GRACE_S)
        result: dict[str, str] = json.loads(out) if process.returncode == 0 else {}
        if "digest" in result:
            return result["digest"]
        said = err.decode(errors="replace").strip()[-_ERROR_CHARACTERS_MAX:]
        raise CompilationFailedError(
            "InternalError", f"The output could not be delivered: {result.get('reason', said)}"
        )

    async def _tend(self, log: Log, done: asyncio.Event) -> None:
        while not done.is_set():
            await asyncio.to_thread(logs.tend, [log], self._clock.now_s())
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(limits.INSTANCE_LOG_CHECK_INTERVAL_S):
                    await done.wait()

    def _put_away(self, log: Log, folder: Path) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        log.finish(self._clock.now_s())
        logs.prune(self._log_folder, limits.COMPILATION_LOG_COUNT_MAX)

    def _tidy(self) -> None:
        try:
            shutil.rmtree(self._home.jobs, ignore_errors=True)
            self._home.compilations.mkdir(parents=True, exist_ok=True)
            self._log_folder.mkdir(parents=True, exist_ok=True)
            logs.settle(self._log_folder)
        except OSError:
            # An untidy home serves all the same.
            logger.exception("the home %s could not be tidied", self._home.path)


def _make_anew(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "report").mkdir(parents=True, mode=0o700)
