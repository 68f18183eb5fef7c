"""What `tensorflow_model_server` is told: its files and flags, as the original's serve.py has them.

Pure: settings and models in, text and words out.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from windtunnel.serving.models import Model, Models
from windtunnel.serving.settings import Batching, Settings

PROGRAM = "tensorflow_model_server"
NOT_FOUND = (
    f"{PROGRAM} is not on PATH: install it (the Debian package tensorflow-model-server of"
    " TensorFlow's own repository, or out of the image tensorflow/serving), or leave the option"
    " away: Windtunnel's own model server needs nothing."
)


@dataclass(frozen=True, slots=True)
class Files:
    """Where the binary finds what it is told at length."""

    models: Path
    batching: Path


def render_models(models: Models, directory: Path) -> str:
    """Return the model_config_file."""
    configs = "".join(_render_model(model, directory) for model in models.by_name.values())
    return f"model_config_list {{\n{configs}}}\n"


def _render_model(model: Model, directory: Path) -> str:
    base = directory / model.versions[model.latest].parent
    versions = "".join(f"        versions: {version}\n" for version in sorted(model.versions))
    return (
        "  config {\n"
        f"    name: {_quote(model.name)}\n"
        f"    base_path: {_quote(str(base))}\n"
        '    model_platform: "tensorflow"\n'
        f"    model_version_policy {{\n      specific {{\n{versions}      }}\n    }}\n"
        "  }\n"
    )


def _quote(text: str) -> str:
    # Protobuf's text format and JSON quote alike.
    return json.dumps(text, ensure_ascii=False)


def render_batching(batching: Batching, cores: int) -> str:
    """Return the batching_parameters_file."""
    values = {
        "max_batch_size": batching.max_batch_size,
        "batch_timeout_micros": round(batching.batch_timeout_s * 1e6),
        "num_batch_threads": batching.num_batch_threads or cores,
        "max_enqueued_batches": batching.max_enqueued_batches or cores,
    }
    return "".join(f"{name} {{ value: {value} }}\n" for name, value in values.items())


def choose_words(
    program: str, settings: Settings, files: Files, grpc_port: int, rest_port: int
) -> list[str]:
    """Return the command of one server."""
    words = [
        program,
        f"--port={grpc_port}",
        f"--rest_api_port={rest_port}",
        f"--model_config_file={files.models}",
        "--max_num_load_retries=0",
    ]
    if settings.batching is not None:
        words += ["--enable_batching=true", f"--batching_parameters_file={files.batching}"]
    # 0 leaves it to TensorFlow, as leaving the flag away does.
    if settings.threads.intra_op:
        words.append(f"--tensorflow_intra_op_parallelism={settings.threads.intra_op}")
    if settings.threads.inter_op:
        words.append(f"--tensorflow_inter_op_parallelism={settings.threads.inter_op}")
    if settings.gpu_fraction is not None:
        words.append(f"--per_process_gpu_memory_fraction={settings.gpu_fraction}")
    return words


def choose_environment(gpu_number: int | None, given: Sequence[str]) -> dict[str, str]:
    """Return the variables that one server gets besides those the container has."""
    environment = {} if "OMP_NUM_THREADS" in given else {"OMP_NUM_THREADS": "1"}
    if gpu_number is not None:
        environment["CUDA_VISIBLE_DEVICES"] = str(gpu_number)
    return environment
