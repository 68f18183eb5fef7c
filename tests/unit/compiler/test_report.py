"""The page of a compilation, from a record."""

import json
import re
from typing import Any

import pytest

from windtunnel.compiler.report import render_page

RECORD: dict[str, Any] = {
    "format": 1,
    "framework": "TENSORFLOW",
    "target": "ml_c7i",
    "engine": "OpenVINO",
    "objective": "latency",
    "measured": "not measured on the target, but on this machine in its place; it lacks amx_bf16",
    "machine": {
        "processor": "A processor",
        "cores": 2,
        "features": ["avx2"],
        "versions": {"openvino": "2026.4"},
    },
    "shapes": {"inputs": [1, 256, 256, 3]},
    "samples": "seeded",
    "measure": "mask IoU at 0.4",
    "baseline": {
        "name": "TensorFlow",
        "threads": "all",
        "p50_ms": 40.0,
        "p50_ms_middle_half": [39.0, 41.0],
        "p90_ms": 44.0,
        "cpu_ms": 80.0,
        "rounds": 10,
        "times_baseline": 1.0,
        "times_baseline_95": [1.0, 1.0],
        "throughput": [{"streams": 2, "threads": "all", "inferences_per_s": 24.0}],
    },
    "candidates": [
        {
            "name": "bf16",
            "precision": "bf16",
            "floats": "bf16",
            "score": 0.9987,
            "tolerance": 0.99,
            "is_right": True,
            "threads": 1,
            "p50_ms": 20.0,
            "p50_ms_middle_half": [19.5, 20.5],
            "p90_ms": 22.0,
            "cpu_ms": 40.0,
            "rounds": 10,
            "times_baseline": 2.0,
            "times_baseline_95": [1.9, 2.1],
            "throughput": [{"streams": 2, "threads": 1, "inferences_per_s": 55.0}],
        },
        {
            "name": "f32",
            "precision": "f32",
            "floats": "f32",
            "score": None,
            "tolerance": 0.995,
            "is_right": False,
        },
    ],
    "chosen": "bf16",
    "reason": "bf16 is the fastest: 2.00x TensorFlow by median latency.",
    "profile": {
        "ms_by_precision": {"bf16": 18.0, "f32": 2.0},
        "ms_in_floats_by_operation": {"Convolution": 18.0},
    },
    "notices": ["int8 was not tried: it needs calibration data"],
    "duration_s": 31.4,
}


def text_of(page: str) -> str:
    return " ".join(re.sub(r"<style>.*?</style>|<[^>]*>", " ", page).split())


def test_a_page_tells_what_was_tried_what_it_was_worth_and_why_one_was_taken() -> None:
    """A stranger reads it and needs no other file."""
    page = render_page(RECORD)
    text = text_of(page)

    for told in (
        "bf16 is the fastest: 2.00x TensorFlow by median latency.",
        "TENSORFLOW model for inputs 1x256x256x3, compiled for OpenVINO in 31 s",
        "speeds are not measured on the target, but on this machine in its place",
        "bf16 1 20 2.00x (1.90 to 2.10) 40 0.9987 0.99",
        "f32 not timed no answer 0.995",
        "int8 was not tried: it needs calibration data",
        "bf16 2 1 55.0",
        "Convolution 18.000",
        "A processor, 2 cores (avx2); openvino 2026.4",
    ):
        assert told in text
    assert 'src="' not in page
    assert 'href="' not in page


def test_the_spread_of_the_slowest_form_is_drawn_whole() -> None:
    """The axis ends at the largest upper quartile, or the slowest looks as if it had none."""
    baseline = RECORD["baseline"] | {"p50_ms": 40.0, "p50_ms_middle_half": [30.0, 50.0]}

    page = render_page(RECORD | {"baseline": baseline})

    assert 'class="bar" style="width:80.0%"' in page
    assert 'class="whisker" style="left:60.0%;width:40.0%"' in page


def test_numbers_can_be_compared_down_a_column() -> None:
    """Right-aligned, with thousands and as many decimals."""
    record = json.loads(json.dumps(RECORD))
    record["baseline"]["throughput"][0]["inferences_per_s"] = 8272.4
    record["candidates"][0]["throughput"][0]["inferences_per_s"] = 10167.8

    page = render_page(record)

    assert "TensorFlow 2 all 8,272 bf16 2 1 10,170" in text_of(page)
    assert "td + td { text-align: right; }" in page
    assert "mask IoU at 0.4 at least" in text_of(page)


def test_a_graph_of_which_no_time_is_known_has_no_profile() -> None:
    """One that is a constant takes none."""
    profile: dict[str, Any] = {"ms_by_precision": {}, "ms_in_floats_by_operation": {}}

    assert "By precision" not in render_page(RECORD | {"profile": profile})


def test_a_page_without_a_choice_or_a_time_is_a_page() -> None:
    """A job that gains nothing, and one for a GPU that is not here."""
    untimed = {"name": "TensorFlow"}
    record = RECORD | {
        "chosen": None,
        "profile": None,
        "baseline": untimed,
        "candidates": [RECORD["candidates"][1]],
        "reason": "No form keeps the tolerance.",
    }

    text = text_of(render_page(record))

    assert "ml_c7i: nothing gained" in text
    assert "No form keeps the tolerance." in text
    assert "Throughput" not in text


@pytest.mark.parametrize("key", ["reason", "target", "framework", "measured", "measure", "samples"])
def test_what_others_named_is_text_on_the_page(key: str) -> None:
    """The names in a model are an uploader's."""
    evil = "<script>alert(1)</script>"

    page = render_page(RECORD | {key: evil})

    assert evil not in page
    assert "&lt;script&gt;" in page


def test_names_of_inputs_forms_and_operations_are_text_too() -> None:
    """Wherever on the page they stand."""
    evil = "<b onload=x>"
    record = json.loads(json.dumps(RECORD).replace('"Convolution"', f'"{evil}"'))
    record["shapes"] = {evil: [1]}
    record["notices"] = [evil]
    record["candidates"][0]["name"] = record["chosen"] = record["baseline"]["name"] = evil

    assert evil not in render_page(record)
