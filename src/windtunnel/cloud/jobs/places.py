"""Where a job's model is and where its output goes, and for what it is compiled.

Pure: a request in, addresses out, or the refusal of what is not offered. What a target's processor
can do is the compiler's business.
"""

import json
from dataclasses import dataclass
from typing import Any

from windtunnel.aws import neo
from windtunnel.cloud.errors import InvalidError, UnsupportedError
from windtunnel.cloud.fleet.model_data import ModelDataError, split_url
from windtunnel.cloud.sagemaker.records import Document

# What our engines run on, of botocore's TargetPlatformOs, …Arch and …Accelerator.
_PLATFORM_OS = "LINUX"
_PLATFORM_ARCHITECTURES = ("X86_64", "ARM64")
_PLATFORM_ACCELERATORS = (None, "NVIDIA")
_OFFER = (
    f"TargetDevice {neo.LOCAL} (this machine) and the instance families "
    f"{', '.join(neo.PROCESSORS)}; TargetPlatform {_PLATFORM_OS} on "
    f"{' or '.join(_PLATFORM_ARCHITECTURES)}, with Accelerator NVIDIA or none"
)


@dataclass(frozen=True)
class Output:
    """The S3 objects that a job makes."""

    bucket: str
    archive_key: str

    @property
    def url(self) -> str:
        """The address of the compiled archive."""
        return f"s3://{self.bucket}/{self.archive_key}"

    def report_key(self, suffix: str) -> str:
        """Return the key of the report beside the archive: `json` or `html`.

        It has the archive's name, so that jobs for other targets leave it alone.
        """
        return f"{self.archive_key.removesuffix('.tar.gz')}.report.{suffix}"


def check(request: Document) -> None:
    """Refuse a request that no job could come of."""
    config = request.get("input_config")
    if config is None:
        raise InvalidError("InputConfig is required: it says where the model is.")
    try:
        split_url(config["s3_uri"])
    except ModelDataError as error:
        raise InvalidError(f"InputConfig.S3Uri: {error.reason}.") from error
    check_target(request["output_config"])
    try:
        output_of(request)
    except ModelDataError as error:
        raise InvalidError(f"OutputConfig.S3OutputLocation: {error.reason}.") from error


def check_target(output_config: Document) -> None:
    """Refuse a target that nothing is compiled for here, and say what is."""
    device, platform = output_config.get("target_device"), output_config.get("target_platform")
    if (device is None) == (platform is None):
        raise InvalidError("Exactly one of TargetDevice and TargetPlatform is required.")
    if device is not None and neo.processor_of(device) is None:
        what = f"TargetDevice {device} ({neo.stranger(device)})"
    elif platform is not None and not _is_offered(platform):
        what = f"TargetPlatform {platform_label(platform)}"
    else:
        return
    raise UnsupportedError(
        f"Windtunnel's local cloud does not compile for {what}: it has {_OFFER}."
    )


def _is_offered(platform: Document) -> bool:
    return (
        platform["os"] == _PLATFORM_OS
        and platform["arch"] in _PLATFORM_ARCHITECTURES
        and platform.get("accelerator") in _PLATFORM_ACCELERATORS
    )


def output_of(request: Document) -> Output:
    """Return where a job's output goes."""
    config = request["output_config"]
    bucket, prefix = split_url(config["s3_output_location"], is_prefix=True)
    _, model_key = split_url(request["input_config"]["s3_uri"])
    name = neo.output_name(model_key, target_label(config))
    return Output(bucket, f"{prefix.removesuffix('/')}/{name}".removeprefix("/"))


def target_label(output_config: Document) -> str:
    """Return a target as file names have it."""
    device: str | None = output_config.get("target_device")
    return device or platform_label(output_config["target_platform"])


def platform_label(platform: Document) -> str:
    """Return a platform's parts as one word: `LINUX_ARM64_NVIDIA`."""
    parts = (platform["os"], platform["arch"], platform.get("accelerator"))
    return "_".join(part for part in parts if part)


def image_of(request: Document, region: str) -> str | None:
    """Return the image that serves a job's output; None for platforms, as on AWS."""
    device = request["output_config"].get("target_device")
    processor = None if device is None else neo.processor_of(device)
    if processor is None:
        return None
    config = request["input_config"]
    return neo.inference_image(
        region, config["framework"], config.get("framework_version"), processor
    )


def order_of(request: Document) -> dict[str, Any]:
    """Return what the compiler is told of a request (`compiler_process.py` has the rest)."""
    config, output_config = request["input_config"], request["output_config"]
    return {
        "framework": config["framework"],
        "framework_version": config.get("framework_version"),
        "data_input_config": config.get("data_input_config"),
        "target": output_config.get("target_device") or _told(output_config["target_platform"]),
        "compiler_options": output_config.get("compiler_options"),
    }


def calibration_url(request: Document) -> str | None:
    """Return where a job's CompilerOptions say that its calibration data is.

    What else they say, and whether it is any sense, is the compiler's business.
    """
    try:
        options = json.loads(request["output_config"].get("compiler_options") or "{}")
    except (ValueError, RecursionError):
        return None
    url = options.get("calibration") if isinstance(options, dict) else None
    return url if isinstance(url, str) else None


def _told(platform: Document) -> dict[str, str | None]:
    return {"accelerator": None, **platform}
