"""What is said of a search for capacity."""

from typing import Any

import pytest

from windtunnel.lab.load.found import outcome_of, sentence


def _step(rate_rps: float, outcome: str) -> dict[str, Any]:
    return {"rate_rps": rate_rps, "outcome": outcome, "why": f"so it was at {rate_rps:g}"}


def _found(rate: float | None, upper: float | None, limited_by: str, **more: Any) -> dict[str, Any]:
    return {
        "rate_rps": rate,
        "lower_rps": rate,
        "upper_rps": upper,
        "limited_by": limited_by,
        "objectives": ["p95=100ms"],
        "alone": {"requests": 250},
        "steps": [_step(24, "held"), _step(50, "missed"), _step(96, "saturated")],
        **more,
    }


@pytest.mark.parametrize(
    ("found", "outcome", "said"),
    [
        (
            _found(48, 50, "objectives"),
            "found",
            "48 requests/s keep p95=100ms; 50 requests/s do not",
        ),
        (
            _found(48, 96, "saturation"),
            "found",
            "48 requests/s keep p95=100ms; 96 requests/s are more than the endpoint keeps up with",
        ),
        (
            _found(48, 50, "objectives", steps=[_step(50, "undecided")]),
            "found",
            "48 requests/s keep p95=100ms; 50 requests/s are not shown to",
        ),
        (
            _found(48, 50, "saturation", objectives=[]),
            "found",
            "the endpoint keeps up with 48 requests/s, and not with 50 requests/s; no objective "
            "was given, so that nothing is said of its latency",
        ),
        (
            _found(48, None, "generator"),
            "at least",
            "at least 48 requests/s keep p95=100ms: the generator is the limit, not the endpoint",
        ),
        (
            _found(48, None, "search"),
            "at least",
            "at least 48 requests/s keep p95=100ms: the search ends here",
        ),
        (
            _found(None, 24, "objectives", steps=[_step(48, "missed"), _step(24, "missed")]),
            "none",
            "no rate keeps p95=100ms, down to 24 requests/s: so it was at 24",
        ),
        (
            _found(None, None, "objectives", steps=[]),
            "none",
            "no rate keeps p95=100ms: one user alone misses it",
        ),
        (
            _found(None, None, "errors", steps=[]),
            "none",
            "no rate holds: none of 250 requests was answered well",
        ),
        (
            _found(None, 50, "generator", lower_rps=48),
            "generator",
            "48 requests/s kept p95=100ms in one run, but could not be confirmed: so it was at 96",
        ),
        (
            _found(None, None, "generator", steps=[_step(24, "generator")]),
            "generator",
            "nothing can be said of any rate: so it was at 24",
        ),
        (
            _found(None, None, "interrupted", lower_rps=24),
            "interrupted",
            "interrupted: 24 requests/s kept p95=100ms in one run, nothing was confirmed",
        ),
        (
            _found(None, None, "interrupted", steps=[]),
            "interrupted",
            "interrupted: no rate had held, nothing was confirmed",
        ),
    ],
)
def test_what_is_known_is_said_and_no_more(found: dict[str, Any], outcome: str, said: str) -> None:
    """The one line that people copy into a ticket has to be true by itself."""
    assert outcome_of(found) == outcome
    assert sentence(found) == said
