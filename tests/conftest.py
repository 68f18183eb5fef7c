"""What holds for every test."""

import functools
import signal
from typing import Any

import hypothesis
from botocore.loaders import JSONFileLoader

# Whoever starts the tests in the background or under nohup has these ignored, and every program
# that a test starts and then interrupts would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)

# A claim is about what comes out, never about how long a busy machine took to make its examples.
hypothesis.settings.register_profile(
    "untimed", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("untimed")

# Each session of botocore reads the models of its services anew, and every test that makes a client
# or runs a command makes one: a quarter of a second of work each time. Sessions may share them but
# for S3's, which botocore itself changes (remove_bucket_from_url_paths_from_model).
_load = JSONFileLoader().load_file
_load_once = functools.cache(_load)


def _load_file(_self: object, path: str) -> Any:
    return _load(path) if "/s3/" in path else _load_once(path)


JSONFileLoader.load_file = _load_file  # type: ignore[method-assign, assignment]
