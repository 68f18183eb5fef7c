"""The directory that holds one load run, and everything its reader needs.

    run.json          what was asked, of whom, with which versions
    summary.json      what it came to
    requests.parquet  every request: its three moments, status, size, worker, payload and error
    scaling.json      what scaled the endpoint meanwhile; only where something could
    report.html       all of it for a person

Rule: a run gets a directory to itself; nothing that is in one already is mixed with it.
"""

import fcntl
import json
import os
import weakref
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from windtunnel.core.errors import NotReadyError, UsageError
from windtunnel.lab.measurement import Floats, Integers, Measurement
from windtunnel.lab.scaling_record import ScalingRecord

_TIMES = ["due_s", "sent_s", "done_s"]
# Of the directory as a whole; a change that an older reader would misread raises it.
_FORMAT = 2


@dataclass(frozen=True)
class Requests:
    """The requests of a run as they were kept."""

    due_s: Floats
    sent_s: Floats
    done_s: Floats
    status: Integers
    # Of each request, whether it was answered well.
    is_good: npt.NDArray[np.bool_]
    # When arrivals were due that nobody was free to send.
    dropped_due_s: Floats


@dataclass(frozen=True)
class Run:
    """A run as read back."""

    path: Path
    asked: Mapping[str, Any]
    summary: Mapping[str, Any]
    requests: Requests
    # Of an endpoint that could be scaled.
    scaling: ScalingRecord | None = None


class RunDirectory:
    """Where one run is written and read."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.report = path / "report.html"
        self._asked = path / "run.json"
        self._summary = path / "summary.json"
        self._requests = path / "requests.parquet"
        self._scaling = path / "scaling.json"

    def check(self) -> None:
        """Refuse a directory that holds anything already."""
        if self._asked.exists() or self._summary.exists():
            raise UsageError(f"--out {self.path} holds a run already: name another directory.")
        try:
            is_taken = self.path.exists() and any(self.path.iterdir())
        except OSError as error:
            raise UsageError(
                f"--out {self.path} cannot be used: {error.strerror or error}."
            ) from error
        if is_taken:
            raise UsageError(f"--out {self.path} is not empty: name a new directory.")

    def prepare(self) -> None:
        """Make the directory, or say why it cannot be the one."""
        self.check()
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(
                f"--out {self.path} cannot be made: {error.strerror or error}."
            ) from error
        self._claim()

    def _claim(self) -> None:
        """Hold the directory for as long as this process has it, or say that another one does.

        A lock on the directory itself leaves nothing behind, however its holder ends.
        """
        descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        weakref.finalize(self, os.close, descriptor)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UsageError(
                f"--out {self.path} is where another run is kept at this moment: name another "
                "directory."
            ) from None
        # The other one may have come to its end between the look and the lock.
        self.check()

    def _check_readable(self) -> None:
        if not self.path.exists():
            raise UsageError(f"There is no directory {self.path}.")
        if not self.path.is_dir():
            raise UsageError(f"{self.path} is not a directory: name one that `load` wrote.")
        wanted = (self._asked, self._summary, self._requests)
        missing = [path.name for path in wanted if not path.exists()]
        if len(missing) == len(wanted):
            raise UsageError(f"{self.path} does not hold a load run: name one that `load` wrote.")
        if missing:
            raise UsageError(f"{self.path} holds only a part of a run: no {', '.join(missing)}.")

    def write(
        self,
        asked: Mapping[str, Any],
        summary: Mapping[str, Any],
        measurement: Measurement,
        scaling: ScalingRecord | None = None,
    ) -> None:
        """Write everything but the report; what cannot be written whole is not left there."""
        try:
            pq.write_table(
                _table(measurement),
                self._requests,
                compression="zstd",
                use_dictionary=["status", "worker", "payload", "error"],
                # Times that rise slowly share their high bytes; split, they compress to half.
                use_byte_stream_split=_TIMES,
            )
            self._asked.write_text(json.dumps({"format": _FORMAT, **asked}, indent=2) + "\n")
            if scaling is not None:
                self._scaling.write_text(json.dumps(scaling.to_json(), indent=2) + "\n")
            # Last: a summary stands for a run that is there.
            self.write_summary(summary)
        except OSError as error:
            for path in (self._requests, self._asked, self._scaling, self._summary):
                path.unlink(missing_ok=True)
            raise NotReadyError(
                f"The run could not be kept in {self.path}: {_plain(error)}. What it measured, "
                f"{len(measurement):,} requests, is lost."
            ) from error

    def write_summary(self, summary: Mapping[str, Any]) -> None:
        """Write what the run came to, in the place of what was written before."""
        whole = self._summary.with_suffix(".part")
        try:
            whole.write_text(json.dumps(summary, indent=2) + "\n")
            whole.replace(self._summary)
        finally:
            whole.unlink(missing_ok=True)

    def read(self) -> Run:
        """Return the run, or say what of it is missing."""
        self._check_readable()
        try:
            asked = json.loads(self._asked.read_text())
            found = asked["format"]
            summary = json.loads(self._summary.read_text())
            scaling = self._read_scaling()
            table = pq.read_table(self._requests)
            was_sent = table["sent_s"].is_valid()
            sent = table.filter(was_sent)
            requests = Requests(
                due_s=sent["due_s"].to_numpy(),
                sent_s=sent["sent_s"].to_numpy(),
                done_s=sent["done_s"].to_numpy(),
                status=sent["status"].to_numpy().astype(np.int64),
                is_good=sent["error"].is_null().to_numpy(),
                dropped_due_s=table.filter(pc.invert(was_sent))["due_s"].to_numpy(),
            )
        except KeyError as error:
            raise UsageError(
                f"{self.path} does not hold a load run: {error} is missing in it."
            ) from error
        except (OSError, ValueError) as error:
            what = error.strerror if isinstance(error, OSError) and error.strerror else error
            raise UsageError(f"The run in {self.path} cannot be read: {what}.") from error
        if found != _FORMAT:
            raise UsageError(
                f"{self.path} holds a run of format {found}; this version reads {_FORMAT}."
            )
        return Run(self.path, asked, summary, requests, scaling)

    def _read_scaling(self) -> ScalingRecord | None:
        try:
            words = json.loads(self._scaling.read_text())
        except FileNotFoundError:
            return None
        return ScalingRecord.from_json(words)


def _plain(error: OSError) -> str:
    """Return what the system says; Arrow has it behind words of its own."""
    return os.strerror(error.errno) if error.errno else str(error)


def _table(measurement: Measurement) -> pa.Table:
    error = pa.DictionaryArray.from_arrays(
        pa.array(measurement.error - 1, mask=measurement.error == 0, type=pa.int32()),
        pa.array(measurement.error_kinds, type=pa.string()),
    )
    return pa.table(
        {
            "due_s": pa.array(measurement.due_s),
            # An arrival that was dropped has neither moment.
            "sent_s": pa.array(measurement.sent_s, from_pandas=True),
            "done_s": pa.array(measurement.done_s, from_pandas=True),
            "status": pa.array(measurement.status, type=pa.uint16()),
            "bytes": pa.array(measurement.bytes, type=pa.int64()),
            "worker": pa.array(measurement.worker, type=pa.uint16()),
            "payload": pa.array(measurement.payload, type=pa.uint16()),
            "error": error,
        }
    )
