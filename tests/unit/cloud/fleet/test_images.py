"""Which images run here."""

import pytest

from windtunnel.aws import images as aws_images
from windtunnel.cloud.errors import InvalidError
from windtunnel.cloud.fleet.images import check_container, image_kind, split_command


@pytest.mark.parametrize(
    ("image", "kind"),
    [
        (aws_images.tensorflow_inference("us-east-1"), "tensorflow"),
        (
            "763104351884.dkr.ecr.us-east-1.amazonaws.com/tensorflow-inference:1.15.3-gpu",
            "tensorflow",
        ),
        ("localhost:5000/a/b/tensorflow-inference:mine", "tensorflow"),
        ("tensorflow-inference", "tensorflow"),
        ("r/tensorflow-inference@sha256:" + "0" * 64, "tensorflow"),
        ("local/command", "command"),
        ("local/command:latest", "command"),
    ],
)
def test_an_image_that_runs_here_is_known_by_its_name(image: str, kind: str) -> None:
    """A deploy script written for AWS runs with the image it names."""
    assert image_kind(image) == kind


@pytest.mark.parametrize(
    "image",
    [
        "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-inference:2.6",
        "r/tensorflow-inference-eia:2.3",
        "r/tensorflow-training:2.19",
        "my/local/command",
        "local/commander",
        "",
    ],
)
def test_any_other_image_is_refused_with_the_list(image: str) -> None:
    """Whoever brings another container reads at once what would run."""
    with pytest.raises(InvalidError) as caught:
        image_kind(image)

    assert repr(image) in caught.value.message
    assert "/tensorflow-inference:<tag>" in caught.value.message
    assert "local/command" in caught.value.message
    assert "WINDTUNNEL_COMMAND" in caught.value.message


def test_a_command_is_split_as_a_shell_would() -> None:
    """Quotes keep words together, and no shell is involved."""
    environment = {"WINDTUNNEL_COMMAND": "python 'my server.py' --port $PORT"}

    assert split_command(environment) == ["python", "my server.py", "--port", "$PORT"]
    assert check_container("local/command", environment) == "command"


@pytest.mark.parametrize(
    ("environment", "reason"),
    [
        ({}, "needs the environment variable WINDTUNNEL_COMMAND"),
        ({"WINDTUNNEL_COMMAND": "  "}, "needs the environment variable WINDTUNNEL_COMMAND"),
        ({"WINDTUNNEL_COMMAND": "echo 'half"}, "is no command line"),
    ],
)
def test_a_command_that_cannot_run_is_refused_when_the_model_is_created(
    environment: dict[str, str], reason: str
) -> None:
    """The mistake shows in CreateModel, not minutes later in a failed endpoint."""
    with pytest.raises(InvalidError, match=reason):
        check_container("local/command", environment)


def test_a_tensorflow_container_needs_no_command() -> None:
    """Variables of one kind mean nothing to the other."""
    assert check_container("r/tensorflow-inference:2", {}) == "tensorflow"
