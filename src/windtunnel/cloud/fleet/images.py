"""Which container image runs here, and as what.

An image is a name to this cloud, not something it downloads: the name says which contract the
container keeps, and our own server keeps it. A name it does not know is refused when the model is
created, with the list of those it does.
"""

import re
import shlex
from collections.abc import Mapping
from typing import Literal

from windtunnel.cloud.errors import InvalidError

ImageKind = Literal["tensorflow", "command"]

COMMAND_VARIABLE = "WINDTUNNEL_COMMAND"
# With or without a registry before the name, a tag or a digest after it.
_TENSORFLOW = re.compile(r"(?:\S+/)?tensorflow-inference(?::[\w.-]+)?(?:@sha256:[0-9a-f]{64})?")
# What compilation jobs name (`aws/neo.py`); which engine runs the archive, the archive says itself.
_NEO = re.compile(
    r"(?:\S+/)?sagemaker-(?:inference-tensorflow|neo-(?:tensorflow|keras|onnx))"
    r"(?::[\w.-]+)?(?:@sha256:[0-9a-f]{64})?"
)
_COMMAND = re.compile(r"local/command(?::[\w.-]+)?")
_LIST = (
    "Images that run here: <registry>/tensorflow-inference:<tag> (its contract, kept by "
    "Windtunnel's own model server), those that compilation jobs name (<registry>/"
    "sagemaker-inference-tensorflow:<tag>, …/sagemaker-neo-keras, …/sagemaker-neo-onnx) and "
    "local/command (any server that answers GET /ping and "
    "POST /invocations on SAGEMAKER_BIND_TO_PORT; its command line is the environment variable "
    f"{COMMAND_VARIABLE})."
)


def image_kind(image: str) -> ImageKind:
    """Return how an image runs here, or raise with the list of images that do."""
    if _TENSORFLOW.fullmatch(image) or _NEO.fullmatch(image):
        return "tensorflow"
    if _COMMAND.fullmatch(image):
        return "command"
    raise InvalidError(f"The image {image!r} does not run in this local cloud. {_LIST}")


def check_container(image: str, environment: Mapping[str, str]) -> ImageKind:
    """Return how a container runs here; raise when its image or its variables cannot."""
    kind = image_kind(image)
    if kind == "command":
        split_command(environment)
    return kind


def split_command(environment: Mapping[str, str]) -> list[str]:
    """Return the command line of a `local/command` container as its words."""
    text = environment.get(COMMAND_VARIABLE, "")
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise InvalidError(
            f"The environment variable {COMMAND_VARIABLE} is no command line ({error}): {text!r}."
        ) from error
    if not words:
        raise InvalidError(
            "The image local/command needs the environment variable "
            f"{COMMAND_VARIABLE} with the command line to run."
        )
    return words
