"""Who the caller is."""

import asyncio
import re

from windtunnel.cloud.foundation.sts import Sts


def test_the_caller_is_an_assumed_role() -> None:
    """The SageMaker SDK's `get_execution_role` raises on anything but a role."""
    identity = asyncio.run(Sts().get_caller_identity({}))

    assert identity["account"] == "000000000000"
    assert identity["arn"] == (
        "arn:aws:sts::000000000000:assumed-role/WindtunnelLocalRole/windtunnel"
    )
    assert re.fullmatch(r"AROA[A-Z0-9]{17}:windtunnel", identity["user_id"])
