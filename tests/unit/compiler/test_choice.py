"""Which candidate is taken, and what is said of it."""

import pytest

from windtunnel.compiler.choice import Entry, Setting, choose, choose_streams
from windtunnel.serving.compiled import Streams


def entry(name: str, p50_s: float | None, score: float = 1.0, rate: float | None = None) -> Entry:
    return Entry(name, score, 0.99, p50_s, rate)


TENSORFLOW = Entry("TensorFlow", 1.0, 0.0, 0.010, 100.0)


def test_the_fastest_right_form_is_taken_and_by_how_much_is_said() -> None:
    """This sentence is the head of the report."""
    found = choose(
        [entry("f32", 0.008), entry("bf16", 0.005), entry("int8", 0.002, score=0.5)],
        TENSORFLOW,
        "latency",
        must_be_faster=True,
    )

    assert found.name == "bf16"
    assert found.reason == (
        "bf16 is the fastest of 2 forms within tolerance: 2.00x TensorFlow by median latency."
    )


def test_throughput_is_judged_by_throughput() -> None:
    """The form with the least latency may not be the one that serves most."""
    entries = [entry("f32", 0.004, rate=150.0), entry("bf16", 0.005, rate=300.0)]

    assert choose(entries, TENSORFLOW, "latency", must_be_faster=True).name == "f32"
    found = choose(entries, TENSORFLOW, "throughput", must_be_faster=True)
    assert found.name == "bf16"
    assert "3.00x TensorFlow by throughput" in found.reason


@pytest.mark.parametrize("p50_s", [0.010, 0.020])
def test_what_gains_nothing_on_its_target_is_not_taken(p50_s: float) -> None:
    """Neo hands back the model as `completed`; here nobody is told a tale."""
    found = choose([entry("f32", p50_s)], TENSORFLOW, "latency", must_be_faster=True)

    assert found.name is None
    assert "Nothing is faster than TensorFlow" in found.reason
    assert "Serve the model as it is." in found.reason


def test_what_gains_nothing_elsewhere_is_taken_and_said() -> None:
    """The target may be faster at it than the machine that measured."""
    found = choose(
        [entry("f32", 0.020), entry("bf16", 0.040)], TENSORFLOW, "latency", must_be_faster=False
    )

    assert found.name == "f32"
    assert "0.50 times TensorFlow's speed" in found.reason
    assert "which is not the target" in found.reason


def test_what_is_the_fastest_here_may_not_be_on_its_target_and_the_reason_says_so() -> None:
    """A form may gain by instructions that the target lacks."""
    found = choose([entry("int8", 0.002)], TENSORFLOW, "latency", must_be_faster=False)

    assert found.reason == (
        "int8 is the fastest: 5.00x TensorFlow by median latency on this machine, which is not the"
        " target."
    )


def test_without_a_right_form_there_is_none_and_each_is_told_by_how_much() -> None:
    """Who knows how far off a form is can decide whether to allow it."""
    entries = [entry("f32", None, score=0.9), entry("bf16", None, score=float("nan"))]

    found = choose(entries, TENSORFLOW, "latency", must_be_faster=True)

    assert found.name is None
    assert "f32 reaches 0.9000 of 0.99; bf16 reaches nan of 0.99" in found.reason


def test_where_nothing_could_be_measured_numerics_decide() -> None:
    """A job for a GPU ends well on a machine that has none."""
    found = choose(
        [entry("onnx f32", None)],
        Entry("TensorFlow", 1.0, 0.0, None, None),
        "latency",
        must_be_faster=False,
    )

    assert found.name == "onnx f32"
    assert found.reason.endswith("its speed was not measured.")


@pytest.mark.parametrize(
    ("rates", "objective", "expected"),
    [
        ((100.0, 150.0), "latency", (Streams(1, 0), Streams(2, 1))),
        # For so little, a second graph is not worth its memory.
        ((100.0, 105.0), "latency", (Streams(1, 0), Streams(1, 0))),
        ((100.0, 90.0), "latency", (Streams(1, 0), Streams(1, 0))),
        ((100.0, 105.0), "throughput", (Streams(2, 1), Streams(2, 1))),
    ],
)
def test_several_at_once_are_run_by_what_was_measured_of_them(
    rates: tuple[float, float], objective: str, expected: tuple[Streams, Streams]
) -> None:
    """A lone request wants all cores; of several, each may be best left one."""
    settings = [Setting(1, 2, rates[0]), Setting(2, 1, rates[1])]

    assert choose_streams(settings, 0, objective) == expected


def test_without_a_measured_setting_all_requests_are_run_as_one_is() -> None:
    """As for a GPU that is not here."""
    assert choose_streams([], 1, "throughput") == (Streams(1, 1), Streams(1, 1))
