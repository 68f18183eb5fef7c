"""Sentences of the report."""

import numpy as np
import pytest

from windtunnel.lab.report import findings


@pytest.mark.parametrize(("span_s", "width_s"), [(61, 2.0), (21, 0.5), (6, 0.1), (3600, 100.0)])
def test_bins_are_round_numbers_of_seconds(span_s: float, width_s: float) -> None:
    """Bins of 0.3517 s beat against one-second rhythms and draw waves that are not there."""
    assert findings.bin_width_s(span_s) == pytest.approx(width_s)


def test_a_dip_in_throughput_is_in_the_title() -> None:
    """The mean of a run that stalled hides the stall."""
    assert "down to 2 at times" in findings.throughput([20, 21, 2, 20], 15.75)
    assert findings.throughput([20, 21, 19, 20], 20) == "20 requests/s, between 19 and 21"


def test_an_open_loop_is_judged_by_what_was_due() -> None:
    """On a ramp the mean says nothing: what matters is whether answers kept up."""
    assert findings.open_throughput([10, 20, 30], 20.0, 3) == (
        "20 answers a second to 20 that were due; at most 3 requests waited at once"
    )


def test_payloads_are_told_apart_by_their_p95() -> None:
    """A set is there because payloads differ: the page says by how much before the table does."""
    slowest = [{"latency_s": {"p95": value}} for value in (0.2, 0.05, None)]

    assert findings.payloads(slowest) == "p95 of 3 payloads: 50 ms to 200 ms"


@pytest.mark.parametrize(
    ("latency_s", "title"),
    [
        ([0.1] * 300, "Latency was steady, 100 ms in the median from first to last"),
        ([0.1] * 150 + [0.2] * 150, "Median latency rose from 100 ms to 200 ms"),
        (
            [0.1] * 130 + [1.5] * 40 + [0.1] * 130,
            "Median latency was 100 ms at first and at last, and up to 1.5 s in between",
        ),
        (
            [0.2] * 120 + [1.5] * 60 + [0.1] * 120,
            "Median latency fell from 200 ms to 100 ms, and up to 1.5 s in between",
        ),
        ([0.1], "Latency over time"),
    ],
    ids=["steady", "risen", "peak", "fallen-after-a-peak", "one-request"],
)
def test_a_peak_between_two_calm_ends_is_no_steady_latency(
    latency_s: list[float], title: str
) -> None:
    """The scene of a scale-out begins and ends well; what users bore is in the middle."""
    due_s = np.arange(len(latency_s), dtype=float) * 0.1

    found = findings.latency_over_time(due_s, np.array(latency_s), 0.0, 0.1 * len(latency_s))

    assert found == title
