"""Every limit in one place, each with its origin.

A queue, body, header, archive, log or cache without a line here is a bug. Sizes are in bytes,
durations in seconds. They are read as `limits.NAME`, whichever file below has them.
"""

from windtunnel.core.limits.cloud import *  # noqa: F403
from windtunnel.core.limits.lab import *  # noqa: F403
from windtunnel.core.limits.serving import *  # noqa: F403
from windtunnel.core.limits.sizes import *  # noqa: F403
