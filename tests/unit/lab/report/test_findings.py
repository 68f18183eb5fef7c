"""Sentences of the report."""

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
