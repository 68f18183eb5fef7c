"""What was measured, until it is handed over."""

import math

import numpy as np
import pytest

from windtunnel.core import limits
from windtunnel.lab.load.failures import Failure
from windtunnel.lab.load.samples import COLUMNS, DROPPED, DTYPES, FailureKinds, Samples


def test_what_is_taken_is_there_no_more_and_counted_for_ever() -> None:
    """A process that sends for a day holds no more than one that sends for a minute."""
    samples = Samples()
    samples.record(0.1, 0.2, 0.3, 200, 2**40, 0, 7)
    samples.record(0.4, 0.5, 0.6, 424, 5, 1, 0)

    first = samples.take()
    samples.record(0.7, 0.8, 0.9, 200, 1, 0, 0)

    assert first["due_s"].tolist() == [0.1, 0.4]
    assert first["bytes"].tolist() == [2**40, 5]
    assert first["payload"].tolist() == [7, 0]
    assert {name: column.dtype for name, column in first.items()} == {
        name: np.dtype(DTYPES[code]) for name, code in COLUMNS
    }
    assert samples.take()["due_s"].tolist() == [0.7]
    assert samples.count == 3
    assert len(samples.take()["due_s"]) == 0


def test_an_arrival_that_was_dropped_is_a_row_that_was_never_sent() -> None:
    """Left out, the stall that it met would be missing where it was worst."""
    samples = Samples()
    samples.drop(1.5, 3)

    row = samples.take()

    assert row["due_s"].tolist() == [1.5]
    assert math.isnan(row["sent_s"][0])
    assert math.isnan(row["done_s"][0])
    assert row["payload"].tolist() == [3]
    assert samples.kinds.numbers == {DROPPED: row["error"][0]}


def test_what_was_handed_over_still_counts_against_the_limit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The run's record is bounded, not only what waits for its way there."""
    monkeypatch.setattr(limits, "LOAD_REQUEST_COUNT_MAX", 2)
    samples = Samples()
    samples.record(0, 0, 0, 200, 0, 0, 0)
    samples.take()
    assert not samples.is_full

    samples.record(0, 0, 0, 200, 0, 0, 0)

    assert samples.is_full


def test_kinds_of_error_beyond_the_limit_are_told_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that puts a number into each error would else fill the memory with kinds."""
    monkeypatch.setattr(limits, "LOAD_ERROR_KINDS_MAX", 2)
    kinds = FailureKinds()

    numbers = [kinds.number(Failure(f"kind {each}", f"case {each}")) for each in (1, 2, 3, 4, 1)]

    assert numbers == [1, 2, 3, 3, 1]
    assert kinds.examples["kind 1"] == "case 1"
    assert list(kinds.numbers)[2] == "other kinds of error"
