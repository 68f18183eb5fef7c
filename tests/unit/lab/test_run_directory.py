"""A run's directory, written and read back."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from windtunnel.core.errors import UsageError
from windtunnel.lab.measurement import Measurement, WorkerOutcome
from windtunnel.lab.run_directory import RunDirectory
from windtunnel.lab.scaling_record import Sample, ScalingRecord, VariantPast


def _measurement() -> Measurement:
    columns = {
        "due_s": np.array([0.0, 1.0, 2.0]),
        "sent_s": np.array([0.1, 1.1, 2.1]),
        "done_s": np.array([0.2, 1.2, 2.2]),
        "status": np.array([200, 424, 0]),
        "bytes": np.array([10, 20, 0]),
        "error": np.array([0, 1, 2]),
        "worker": np.array([0, 0, 0]),
        "payload": np.array([0, 0, 0]),
    }
    worker = WorkerOutcome(
        requests=3,
        end_s=3.0,
        users_peak=1,
        unanswered=0,
        is_full=False,
        cpu_share=0.0,
        loop_lag_s_p99=0.0,
    )
    return Measurement.of(
        columns, [worker], kinds=[("ModelError", ""), ("refused", "")], started_epoch_s=0.0
    )


def test_every_request_is_kept_and_read_back(tmp_path: Path) -> None:
    """Whoever doubts a percentile can count for themselves, with any tool that reads Parquet."""
    directory = RunDirectory(tmp_path / "run")
    directory.prepare()
    directory.write({"asked": 1}, {"valid": True}, _measurement())

    run = directory.read()

    assert run.requests.done_s.tolist() == [0.2, 1.2, 2.2]
    assert run.requests.is_good.tolist() == [True, False, False]
    table = pq.read_table(tmp_path / "run" / "requests.parquet")
    assert table["error"].to_pylist() == [None, "ModelError", "refused"]
    assert table.column_names == [
        "due_s",
        "sent_s",
        "done_s",
        "status",
        "bytes",
        "worker",
        "payload",
        "error",
    ]


def test_a_run_is_never_written_over(tmp_path: Path) -> None:
    """An hour of measuring must not end under the next command's --out."""
    directory = RunDirectory(tmp_path)
    directory.prepare()
    directory.write({}, {}, _measurement())

    with pytest.raises(UsageError, match="holds a run already"):
        directory.prepare()


def test_a_directory_without_a_run_is_named(tmp_path: Path) -> None:
    """`report` on the wrong directory must say which one it was."""
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(
        UsageError, match=r"does not hold a load run: name one that `load` wrote\.$"
    ):
        RunDirectory(tmp_path).read()
    with pytest.raises(UsageError, match=r"^There is no directory .*nowhere\.$"):
        RunDirectory(tmp_path / "nowhere").read()
    with pytest.raises(UsageError, match=r"file is not a directory"):
        RunDirectory(file).read()


def test_a_run_that_is_not_whole_says_what_of_it_is_missing(tmp_path: Path) -> None:
    """A copy that left out the large file can be mended by copying that."""
    directory = RunDirectory(tmp_path)
    directory.write({}, {}, _measurement())
    requests = tmp_path / "requests.parquet"

    requests.write_bytes(b"not Parquet")
    with pytest.raises(UsageError, match="cannot be read: "):
        directory.read()
    requests.unlink()
    with pytest.raises(UsageError, match=r"only a part of a run: no requests\.parquet\.$"):
        directory.read()


def test_a_run_of_another_format_is_refused(tmp_path: Path) -> None:
    """Misreading last year's run is worse than not reading it."""
    directory = RunDirectory(tmp_path)
    directory.prepare()
    directory.write({"format": 1}, {}, _measurement())

    with pytest.raises(UsageError, match="of format 1"):
        directory.read()


def test_what_scaled_a_run_is_kept_with_it_or_said_to_be_broken(tmp_path: Path) -> None:
    """Without it a latency that fell in the middle of a run has no reason."""
    directory = RunDirectory(tmp_path)
    directory.prepare()
    record = ScalingRecord(30.0, (VariantPast("A", 1, 4, (Sample(0.0, 1, 1),), (), ()),))
    directory.write({"format": 2}, {}, _measurement(), record)

    assert directory.read().scaling == record
    (tmp_path / "scaling.json").write_text('{"format": 1}')
    with pytest.raises(UsageError, match="cannot be read: what scaled the endpoint is incomplete"):
        directory.read()


def test_a_run_gets_a_directory_to_itself(tmp_path: Path) -> None:
    """Somebody's home directory, named by a slip, must not be sprinkled with a run's files."""
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "empty").mkdir()

    with pytest.raises(UsageError, match="is not empty"):
        RunDirectory(tmp_path).check()
    with pytest.raises(UsageError, match="cannot be used"):
        RunDirectory(tmp_path / "notes.txt").check()
    RunDirectory(tmp_path / "empty").prepare()
    RunDirectory(tmp_path / "new" / "run").prepare()
