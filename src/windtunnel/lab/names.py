"""Names for what a deployment makes: its endpoint's, and something that no other deployment has."""

import secrets
import time

# SageMaker's own limit for models and endpoint configurations (botocore's sagemaker model).
_CHARACTERS_MAX = 63
# A moment as YYYYMMDD-HHMMSS, and six hexadecimal digits for those who share it.
_SUFFIX_CHARACTERS = 22


def stem_of(name: str) -> str:
    """Return as much of a name as what is made for it begins with."""
    return name[: _CHARACTERS_MAX - _SUFFIX_CHARACTERS - 1].rstrip("-")


def unique(stem: str, now_s: float | None = None) -> str:
    """Return a name that no other deployment makes, sorted by time and short enough."""
    stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime(now_s))
    suffix = f"{stamp}-{secrets.token_hex(3)}"
    head = stem_of(stem)
    return f"{head}-{suffix}" if head else suffix
