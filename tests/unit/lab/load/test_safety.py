"""`windtunnel load` where it costs money and may break what others use."""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.unit.lab.conftest import Asked, FakeAws, Ran

    Command = Callable[..., Ran]

# Starting a load process takes a second or two: Locust is imported anew.
pytestmark = pytest.mark.slow


class _Terminal(io.StringIO):
    """Somebody at a keyboard."""

    def isatty(self) -> bool:
        return True


def _price(usd: str) -> str:
    dimension = {"unit": "Hrs", "pricePerUnit": {"USD": usd}}
    return json.dumps(
        {
            "product": {"attributes": {"usagetype": "USE1-Host:ml.c5.large"}},
            "terms": {"OnDemand": {"A": {"priceDimensions": {"B": dimension}}}},
        }
    )


@pytest.fixture
def load(
    windtunnel: "Command",
    aws: "FakeAws",
    archive: Path,
    payload_file: Path,
    to_aws: list[str],
    tmp_path: Path,
) -> "Command":
    """Return a function that loads an endpoint on the fake AWS, of two instances."""
    aws.statuses = ["InService"]
    aws.products = [_price("3.6000000000")]
    words = ["--endpoint-name", "unet", "--instance-count", 2, "--yes"]
    ran = windtunnel("deploy", archive, *words, *to_aws)
    assert ran.code == 0, ran.err
    aws.asked.clear()

    def run(*words: object, cloud: list[str] = to_aws) -> "Ran":
        return windtunnel(
            *("load", "unet", "--payload", payload_file, "--out", tmp_path / "run"),
            *("--users", 2, "--duration", "1s", "--warmup", "0s", *words, *cloud),
        )

    return run


def _sent(aws: "FakeAws") -> int:
    return aws.actions().count("InvokeEndpoint")


def _fail(aws: "FakeAws", status: int = 503) -> None:
    """Have every invocation fail: the service itself, or the model behind it."""

    def answer(_asked: "Asked") -> tuple[int, dict[str, str], bytes]:
        code = "ModelError" if status == 424 else "ServiceUnavailable"
        return status, {"x-amzn-ErrorType": code}, b'{"OriginalStatusCode": 500}'

    aws.answer = answer


def test_the_endpoints_name_is_typed_after_all_is_said(
    load: "Command", aws: "FakeAws", monkeypatch: pytest.MonkeyPatch
) -> None:
    """A yes is typed by habit; the name of production's endpoint is not."""
    monkeypatch.setattr("sys.stdin", _Terminal("unet\n"))

    ran = load()

    assert ran.code == 0, ran.err
    order = [
        "account 000000000000, region us-east-1",
        "to        endpoint unet",
        "cost      2 x ml.c5.large cost $7.20 an hour",
        "Type the endpoint's name to send this load:",
    ]
    assert [ran.err.index(text) for text in order] == sorted(ran.err.index(text) for text in order)
    assert _sent(aws) > 0


@pytest.mark.parametrize("typed", ["y\n", "\n", "", "unet-2\n"])
def test_without_the_name_nothing_is_sent(
    load: "Command", aws: "FakeAws", monkeypatch: pytest.MonkeyPatch, typed: str
) -> None:
    """Whoever meant another endpoint finds out before, not after."""
    monkeypatch.setattr("sys.stdin", _Terminal(typed))

    ran = load()

    assert ran.code == 2
    assert "is not unet, so nothing was done" in " ".join(ran.err.split())
    assert _sent(aws) == 0


def test_where_nobody_can_answer_yes_must_have_been_said(load: "Command", aws: "FakeAws") -> None:
    """A scheduled job must not start to load an account's endpoints by default."""
    ran = load()

    assert ran.code == 2
    assert "say --yes to send this load to unet" in " ".join(ran.err.split())
    assert _sent(aws) == 0


def test_a_local_cloud_is_loaded_without_being_asked_for(load: "Command", aws: "FakeAws") -> None:
    """It costs nothing, and is nobody else's."""
    ran = load("--max-cost", "0", cloud=[])

    assert ran.code == 0, ran.err
    assert "cost  " not in ran.err
    assert _sent(aws) > 0


def test_a_run_that_may_not_cost_that_much_is_refused_before_it_starts(
    load: "Command", aws: "FakeAws", tmp_path: Path
) -> None:
    """81 s of $7.20 an hour are 16 cents; --yes does not outvote a limit."""
    refused = load("--yes", "--max-cost", "0.15", "--junit", tmp_path / "junit.xml")
    sent = _sent(aws)
    allowed = load("--yes", "--max-cost", "0.17")

    assert refused.code == 2
    said = " ".join(refused.err.split())
    assert "likely to cost $0.162, and --max-cost allows $0.15" in said
    assert sent == 0
    assert not (tmp_path / "junit.xml").exists()
    assert allowed.code == 0, allowed.err


def test_a_search_for_capacity_is_agreed_to_once_and_as_a_whole(
    load: "Command",
    aws: "FakeAws",
    windtunnel: "Command",
    payload_file: Path,
    to_aws: list[str],
    tmp_path: Path,
) -> None:
    """It is a dozen runs, each above the rate that the endpoint has seen before."""
    words: list[object] = ["load", "unet", "--payload", payload_file, "--out", tmp_path / "found"]
    words += ["--capacity", "--duration", "49s", *to_aws]

    unasked = windtunnel(*words)
    dear = windtunnel(*words, "--yes", "--max-cost", "1")

    assert (unasked.code, dear.code) == (2, 2)
    assert "that is 12 m 35 s of load" in unasked.err
    assert "say --yes to send this load" in " ".join(unasked.err.split())
    assert "likely to cost $1.67, and --max-cost allows $1.00" in " ".join(dear.err.split())
    assert _sent(aws) == 0


def test_a_limit_on_an_unknown_price_is_refused(load: "Command", aws: "FakeAws") -> None:
    """An unknown price is not a low one."""
    aws.products = None

    ran = load("--yes", "--max-cost", "1000")

    assert ran.code == 2
    assert "The price of ml.c5.large" in ran.err
    assert "is unknown here" in " ".join(ran.err.split())
    assert _sent(aws) == 0


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--max-cost", "-1"], "--max-cost must be an amount"),
        (["--max-cost", "nan"], "--max-cost must be an amount"),
        (["--stop-on-5xx", "5"], "--stop-on-5xx '5' is not a percentage"),
        (["--stop-on-5xx", "0%"], "--stop-on-5xx must be more than 0%, or `never`"),
    ],
)
def test_nonsense_is_refused_before_any_call(
    load: "Command", aws: "FakeAws", *, words: list[str], expected: str
) -> None:
    """A limit that was mistyped would hold nothing."""
    ran = load("--yes", *words)

    assert ran.code == 2
    assert expected in " ".join(ran.err.split())
    assert aws.asked == []


@pytest.mark.parametrize("status", [503, 424])
def test_an_endpoint_that_fails_on_aws_is_not_loaded_any_longer(
    load: "Command", aws: "FakeAws", tmp_path: Path, status: int
) -> None:
    """Its other users suffer, and it costs on; what was measured until then is kept."""
    _fail(aws, status)

    ran = load("--yes", "--duration", "60s")

    assert ran.code == 3, ran.err
    assert "INVALID   stopped: 100% of the answers were 5xx" in ran.err
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary["requests"] == _sent(aws) > 0
    assert "interrupted" not in summary["reasons"]


@pytest.mark.parametrize(
    ("words", "is_local"), [(["--stop-on-5xx", "never"], False), ([], True)], ids=["never", "local"]
)
def test_where_it_is_wanted_a_failing_endpoint_is_loaded_to_the_end(
    load: "Command", aws: "FakeAws", tmp_path: Path, *, words: list[str], is_local: bool
) -> None:
    """How it fails under load may be what was to be found out."""
    _fail(aws)

    ran = load("--yes", "--duration", "3s", *words, **({"cloud": []} if is_local else {}))

    assert ran.code == 1, ran.err
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary["valid"], summary["reasons"]


def test_a_local_run_stops_where_it_is_told_to(load: "Command", aws: "FakeAws") -> None:
    """A pipeline need not wait for the end of what has failed already."""
    _fail(aws)

    ran = load("--stop-on-5xx", "50%", "--duration", "60s", cloud=[])

    assert ran.code == 3, ran.err
    assert "50% is where --stop-on-5xx ends a run" in ran.err


def _vanish(aws: "FakeAws") -> None:
    aws.endpoints.clear()


def _update(aws: "FakeAws") -> None:
    aws.statuses = ["Updating"]


def _grow(aws: "FakeAws") -> None:
    aws.instance_counts["AllTraffic"] = 4


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (_vanish, "endpoint unet was gone after the run"),
        (_update, "endpoint unet was Updating after the run"),
        (_grow, "had 2 instances before the run and 4 after it"),
    ],
)
def test_an_endpoint_that_changed_under_the_run_is_said_to_have(
    load: "Command",
    aws: "FakeAws",
    tmp_path: Path,
    change: Callable[["FakeAws"], None],
    expected: str,
) -> None:
    """Scaling is silent: the numbers look like those of one fleet."""

    def answer(_asked: "Asked") -> tuple[int, dict[str, str], bytes]:
        change(aws)
        return 200, {}, b"{}"

    aws.answer = answer

    ran = load("--yes")

    assert expected in ran.err
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert any(expected in warning for warning in summary["warnings"])
    assert summary["requests"] > 0
