"""What load processes tell, line by line, to the process that started them."""

import json

import numpy as np

from windtunnel.core import limits
from windtunnel.lab.load.histogram import Histogram


def test_a_second_of_latencies_of_every_size_fits_a_line() -> None:
    """At 50,000 requests a second 64 KiB were too few: the run ended with a traceback."""
    longest_s = limits.INVOKE_CONNECT_TIMEOUT_S + limits.INVOKE_CLIENT_TIMEOUT_S
    # Closer together than the classes, so that none is left out; and counts of six digits.
    values_s = np.exp(np.arange(np.log(1e-9), np.log(longest_s), 1 / 3000))
    latency = Histogram()
    latency.add(values_s)
    latency = Histogram(dict.fromkeys(latency.counts, 100_000))

    line = json.dumps({"latency": latency.to_json(), "lag": latency.to_json()})

    assert len(latency.counts) > 30_000
    assert len(line) < limits.LOAD_LINE_BYTES_MAX / 2
