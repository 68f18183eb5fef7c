"""CompilerOptions: what they may say."""

import json

import pytest

from windtunnel.compiler.errors import CompileError
from windtunnel.compiler.options import Options, parse_options


@pytest.mark.parametrize("text", [None, "", "{}"])
def test_without_options_a_job_wants_the_least_latency(text: str | None) -> None:
    """Most jobs have none."""
    options = parse_options(text)

    assert options == Options()
    assert options.objective == "latency"
    assert options.precisions == ("f32", "bf16", "int8")


def test_all_options_are_taken() -> None:
    """The documented keys."""
    options = parse_options(
        json.dumps(
            {
                "objective": "throughput",
                "calibration": "s3://b/k.npz",
                "precisions": ["int8"],
                "tolerance": {"int8": 0.5},
                "metric": "m.py:score",
                "safe_mode": False,
            }
        )
    )

    assert options == Options(
        "throughput", "s3://b/k.npz", ("int8",), {"int8": 0.5}, "m.py:score", safe_mode=False
    )


def test_a_metric_of_ones_own_may_end_anywhere() -> None:
    """Decibels go to sixty, and an error below zero ends at none."""
    given = {"metric": "m.py:psnr", "tolerance": {"f32": 60, "int8": -0.5}}

    assert parse_options(json.dumps(given)).tolerance == {"f32": 60, "int8": -0.5}


def test_keys_of_neos_own_engines_are_taken_and_said_to_do_nothing() -> None:
    """A notebook written for Neo goes on, and its author learns what became of the option."""
    options = parse_options('{"precision_mode": "FP16"}')

    assert options.notices == (
        "CompilerOptions precision_mode has no effect: it is for an engine of Neo's",
    )


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "is not JSON"),
        ("[]", "is not a JSON object"),
        ('{"objectiv": "latency", "b": 1}', "has b, objectiv; known are calibration, metric"),
        ('{"objective": "speed"}', 'objective is "latency" or "throughput"'),
        ('{"objective": null}', 'objective is "latency" or "throughput"'),
        ('{"objective": ["latency"]}', 'objective is "latency" or "throughput"'),
        ('{"precisions": "f32"}', "precisions is a list of f32, bf16, int8"),
        ('{"precisions": []}', "precisions is a list"),
        ('{"precisions": ["f16"]}', "precisions is a list"),
        ('{"precisions": [["f32"]]}', "precisions is a list"),
        ('{"tolerance": 0.9}', "tolerance is like"),
        ('{"tolerance": {"f16": 0.9}}', "tolerance is like"),
        ('{"tolerance": {"f32": "0.9"}}', "tolerance is like"),
        ('{"tolerance": {"f32": true}}', "tolerance is like"),
        ('{"tolerance": {"f32": NaN}}', "tolerance is like"),
        ('{"tolerance": {"bf16": 2}}', "tolerance is from 0 to 1"),
        ('{"tolerance": {"f32": 0.9, "int8": -0.1}}', "tolerance is from 0 to 1"),
        ('{"calibration": 1}', "calibration is a string"),
        ('{"metric": {}}', "metric is a string"),
        ('{"safe_mode": "no"}', "safe_mode is true or false"),
    ],
)
def test_an_option_that_cannot_be_meant_is_refused(text: str, reason: str) -> None:
    """A misspelt option that is silently dropped costs an afternoon."""
    with pytest.raises(CompileError, match=f"CompilerOptions {reason}"):
        parse_options(text)
