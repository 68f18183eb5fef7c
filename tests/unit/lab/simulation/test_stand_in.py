"""The generated trace is like the recorded one where it matters to a policy."""

from pathlib import Path

import numpy as np

from windtunnel.lab.simulation import stand_in, traces


def test_it_has_the_length_and_the_extremes_of_the_world_cups_traffic() -> None:
    """The recorded one: 1.35 G requests, peak 229,426, median 3,884, 99th percentile 109,971."""
    counts = stand_in.generate().counts

    assert len(counts) == 125_300
    assert 1.2e9 < counts.sum() < 1.5e9
    assert 210_000 < counts.max() < 235_000
    assert 3_000 < np.median(counts) < 4_800
    assert 95_000 < np.percentile(counts, 99) < 125_000


def test_it_is_as_bursty_as_the_recorded_one() -> None:
    """There a day peaks at 35 times its mean, and p99.9 of growth in 3 minutes is 1.41."""
    counts = stand_in.generate().counts
    days = counts[: len(counts) // 1440 * 1440].reshape(-1, 1440)
    ratios = days.max(axis=1) / days.mean(axis=1)
    growth = (counts[3:] / np.maximum(counts[:-3], 1))[counts[:-3] > 2000]

    assert 15 < ratios.max() < 50
    assert 1.7 < np.median(ratios) < 2.6
    assert 1.25 < np.percentile(growth, 99.9) < 1.5


def test_the_same_seed_gives_the_same_trace_and_its_file_reads_back(tmp_path: Path) -> None:
    """A benchmark of one machine is the benchmark of another."""
    first, again = stand_in.generate(7, 3000), stand_in.generate(7, 3000)
    stand_in.write(tmp_path / "t.csv", first)
    read = traces.read(tmp_path / "t.csv")

    assert np.array_equal(first.counts, again.counts)
    assert not np.array_equal(first.counts, stand_in.generate(8, 3000).counts)
    assert np.array_equal(read.demand.counts, first.counts)
    assert (read.demand.start_s, read.notes) == (first.start_s, ())
