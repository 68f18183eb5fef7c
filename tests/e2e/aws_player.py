"""A local cloud that plays AWS, at a pace that a test can wait for: `aws_player.py HOME`.

Instances take half a second to a second to start, as they take minutes there, and every operation
of SageMaker may be called once at a time and twice a second.
"""

import sys
from pathlib import Path

import uvloop

from windtunnel.aws.api_rates import Rate
from windtunnel.cloud.app import Options, run
from windtunnel.cloud.pace import Pace
from windtunnel.core.home import Home


def rate_of(service: str, operation: str) -> Rate | None:
    """Return how often an operation may be called."""
    del operation
    return Rate(per_s=2, burst=1) if service == "sagemaker" else None


if __name__ == "__main__":
    pace = Pace(start_range_s=(0.5, 1.0), metric_delay_s=1.0, log_delay_s=0.5, rate_of=rate_of)
    uvloop.run(run(Options(Home(Path(sys.argv[1])), region="eu-west-1", pace=pace)))
