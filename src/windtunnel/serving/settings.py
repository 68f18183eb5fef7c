"""The variables of a container's environment, and which of them do something here.

The names and defaults are those of the SageMaker TensorFlow Serving container (its serve.py and
tfs_utils.py). Rules: a value that means nothing stops the container with a sentence that names the
variable; a variable that can change nothing in this mode is said, never silently dropped. No file,
process or clock is touched here.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from windtunnel.core import limits
from windtunnel.serving.engines.engine import Threads
from windtunnel.serving.errors import SettingsError
from windtunnel.serving.gpus import choose_fraction
from windtunnel.serving.ports import PortRange

_PREFIX = "SAGEMAKER_"
# Not one of the original's: which model server runs, `windtunnel` or `tfs`.
MODEL_SERVER = "WINDTUNNEL_MODEL_SERVER"
_MARGIN = "SAGEMAKER_TFS_FRACTIONAL_GPU_MEM_MARGIN"
_CLASS = "SAGEMAKER_GUNICORN_WORKER_CLASS"
_THREADS = "SAGEMAKER_GUNICORN_THREADS"
_READ_TIMEOUT = "SAGEMAKER_NGINX_PROXY_READ_TIMEOUT_SECONDS"
_PORTS = "SAGEMAKER_SAFE_PORT_RANGE"
_WAIT_TIME = "SAGEMAKER_TFS_WAIT_TIME_SECONDS"
_DEFAULT_MODEL = "SAGEMAKER_TFS_DEFAULT_MODEL_NAME"
_OMP = "OMP_NUM_THREADS"
MULTI_MODEL = "SAGEMAKER_MULTI_MODEL"
_LOG_LEVELS = ("debug", "info", "notice", "warn", "error", "crit", "alert", "emerg")
# Levels at which nginx, too, would tell of single requests.
_VERBOSE_LEVELS = ("debug", "info")
_WORKER_CLASSES = ("gevent", "sync", "gthread")
_WORKER_LOG_LEVELS = ("debug", "info", "warning", "error", "critical")


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """How a script is run; the names are gunicorn's and nginx's."""

    count: int
    # gevent, sync or gthread.
    kind: str
    # Requests of one worker that are in the script at once.
    thread_count: int
    # A worker that has one request for longer is ended; 0 waits for ever.
    timeout_s: float
    # Whoever waits for longer is told so; never shorter than `timeout_s`.
    read_timeout_s: float
    log_level: str


@dataclass(frozen=True, slots=True)
class Batching:
    """How requests are joined; 0 stands for as many as there are cores."""

    max_batch_size: int = 8
    batch_timeout_s: float = 0.001
    num_batch_threads: int = 0
    max_enqueued_batches: int = 0


@dataclass(frozen=True, slots=True)
class MultiModel:
    """How models come and go in a container that starts without any."""

    # From the request for a model until it answers.
    load_timeout_s: float
    # Models that there may be at once.
    count_max: int


@dataclass(frozen=True, slots=True)
class Settings:
    """What a container was told."""

    bind_port: int
    server_count: int
    threads: Threads
    # None: the first model that is found.
    default_model: str | None
    wait_time_s: float
    logs_requests: bool
    # What counts only for an archive with a script.
    workers: WorkerSettings
    port_range: PortRange | None
    # None: each request runs by itself.
    batching: Batching | None
    # How much of a GPU's memory each model server may take; None: all.
    gpu_fraction: float | None
    # Whether TensorFlow Serving's own binary runs in the place of our model servers.
    is_tfs: bool
    # One sentence for each variable that changes nothing.
    notices: tuple[str, ...]
    # None: the models that lie in the model directory, and no others.
    multi_model: MultiModel | None = None


def parse_settings(
    environment: Mapping[str, str],
    *,
    is_on_port: bool,
    has_script: bool = False,
    gpu_count: int = 0,
) -> Settings:
    """Return the settings that an environment spells; raise SettingsError for what none can be."""
    # An empty value is an unset one, as in the original, which tests it for truth.
    given = {name: value.strip() for name, value in environment.items() if value.strip()}
    _refuse_universal_script(given)
    workers = _parse_workers(given, has_script=has_script)
    count = _whole(given, "SAGEMAKER_TFS_INSTANCE_COUNT", 1, 1, limits.MODEL_SERVER_COUNT_MAX)
    is_tfs = _choice(given, MODEL_SERVER, ("windtunnel", "tfs"), "windtunnel") == "tfs"
    multi_model = _parse_multi_model(given)
    if is_tfs and multi_model is not None:
        raise SettingsError(
            f"{MODEL_SERVER}=tfs does not go with {MULTI_MODEL}=true: many models are served by "
            "Windtunnel's own model server."
        )
    fraction = choose_fraction(_fraction(given, _MARGIN), count, gpu_count)
    notices = _notices(given, is_on_port=is_on_port, has_script=has_script, is_tfs=is_tfs)
    if fraction is None and _MARGIN in given:
        why = "no GPU is here" if gpu_count == 0 else "one model server has the GPU to itself"
        notices.append(f"{_MARGIN}={given[_MARGIN]} has no effect: {why}.")
    if has_script:
        notices += _worker_notices(given, workers, is_tfs=is_tfs)
    level = _choice(given, "SAGEMAKER_TFS_NGINX_LOGLEVEL", _LOG_LEVELS, "error")
    name = given.get(_DEFAULT_MODEL, "None")
    return Settings(
        bind_port=_whole(given, "SAGEMAKER_BIND_TO_PORT", 8080, 0, 65535),
        server_count=count,
        threads=Threads(
            intra_op=_whole(given, "SAGEMAKER_TFS_INTRA_OP_PARALLELISM", 0, 0),
            inter_op=_whole(given, "SAGEMAKER_TFS_INTER_OP_PARALLELISM", 0, 0),
        ),
        default_model=None if name == "None" else name,
        wait_time_s=float(_whole(given, _WAIT_TIME, 300, 1)),
        logs_requests=level in _VERBOSE_LEVELS,
        workers=workers,
        port_range=_parse_port_range(given),
        batching=_batching(given),
        gpu_fraction=fraction,
        is_tfs=is_tfs,
        notices=tuple(notices),
        multi_model=multi_model,
    )


def is_multi_model(environment: Mapping[str, str]) -> bool:
    """Say whether a container starts without models and is given them one by one."""
    given = {MULTI_MODEL: value} if (value := environment.get(MULTI_MODEL, "").strip()) else {}
    return _choice(given, MULTI_MODEL, ("true", "false"), "false") == "true"


def one_model_environment(environment: Mapping[str, str], settings: Settings) -> dict[str, str]:
    """Return what one of many models is served with: a container's environment, for it alone."""
    assert settings.multi_model is not None
    # A model that takes too long is given up from outside, which says so with a status of its own.
    inside_s = int(settings.multi_model.load_timeout_s + limits.MODEL_LOAD_MARGIN_S)
    return {
        **{name: text for name, text in environment.items() if name not in _NOT_ONE_MODELS},
        _WAIT_TIME: str(inside_s),
    }


# What is about all models of a container, or about what it answers on.
_NOT_ONE_MODELS = frozenset({MULTI_MODEL, _DEFAULT_MODEL, "SAGEMAKER_BIND_TO_PORT"})


def _parse_multi_model(given: Mapping[str, str]) -> MultiModel | None:
    if not is_multi_model(given):
        return None
    count_max = limits.MULTI_MODEL_COUNT_MAX
    ports = _parse_port_range(given)
    if ports is not None:
        # The original's arithmetic (_parse_sagemaker_port_range_mme): nine tenths of the range,
        # the lower half for REST and the upper for gRPC, and a pair for each server.
        usable = int((ports.high - ports.low) * 0.9) // 2
        count_max = usable // _whole(given, "SAGEMAKER_TFS_INSTANCE_COUNT", 1, 1)
    wait_s = _whole(given, _WAIT_TIME, limits.MODEL_LOAD_TIMEOUT_S, 1)
    return MultiModel(float(wait_s), count_max)


def _parse_workers(given: Mapping[str, str], *, has_script: bool) -> WorkerSettings:
    kind = "gevent"
    if has_script:
        kind = _choice(given, _CLASS, _WORKER_CLASSES, kind)
    threads = _whole(given, _THREADS, 1, 1, limits.SCRIPT_THREAD_COUNT_MAX)
    if kind == "sync" and threads > 1:
        # gunicorn's own rule, on its page on `threads`.
        kind = "gthread"
    timeout_s = float(_whole(given, "SAGEMAKER_GUNICORN_TIMEOUT_SECONDS", 30, 0))
    read_timeout_s = float(_whole(given, _READ_TIMEOUT, 60, 1))
    return WorkerSettings(
        count=_whole(given, "SAGEMAKER_GUNICORN_WORKERS", 1, 1, limits.SCRIPT_WORKER_COUNT_MAX),
        kind=kind,
        thread_count=limits.SCRIPT_GREENLET_COUNT_MAX if kind == "gevent" else threads,
        timeout_s=timeout_s,
        read_timeout_s=max(read_timeout_s, timeout_s),
        log_level=_choice(given, "SAGEMAKER_GUNICORN_LOGLEVEL", _WORKER_LOG_LEVELS, "info"),
    )


def _parse_port_range(given: Mapping[str, str]) -> PortRange | None:
    text = given.get(_PORTS)
    if text is None:
        return None
    found = re.fullmatch(r"(\d{1,5})-(\d{1,5})", text)
    if found is None or not 0 < int(found[1]) <= int(found[2]) <= 65535:  # noqa: PLR2004 - ports
        raise SettingsError(f"{_PORTS} must be two ports as in 9000-9999, not {text!r}.")
    return PortRange(int(found[1]), int(found[2]))


def _refuse_universal_script(given: Mapping[str, str]) -> None:
    universal = [f"SAGEMAKER_MULTI_MODEL_UNIVERSAL_{part}" for part in ("BUCKET", "PREFIX")]
    if all(name in given for name in universal):
        raise SettingsError(
            f"{' and '.join(universal)}: a script for all models is not fetched from S3 here. Give"
            " each model's archive its own code/inference.py, or unset both."
        )


def _batching(given: Mapping[str, str]) -> Batching | None:
    if not _is_batching(given):
        return None
    enqueued = limits.BATCH_TRANSFORM_ENQUEUED_MAX if "SAGEMAKER_BATCH" in given else 0
    return Batching(
        max_batch_size=_whole(given, "SAGEMAKER_TFS_MAX_BATCH_SIZE", 8, 1),
        batch_timeout_s=_whole(given, "SAGEMAKER_TFS_BATCH_TIMEOUT_MICROS", 1000, 0) / 1e6,
        num_batch_threads=_whole(given, "SAGEMAKER_TFS_NUM_BATCH_THREADS", 0, 1),
        max_enqueued_batches=_whole(given, "SAGEMAKER_TFS_MAX_ENQUEUED_BATCHES", enqueued, 1),
    )


def _is_batching(given: Mapping[str, str]) -> bool:
    return _choice(given, "SAGEMAKER_TFS_ENABLE_BATCHING", ("true", "false"), "false") == "true"


def _whole(
    given: Mapping[str, str], name: str, default: int, least: int, most: int | None = None
) -> int:
    text = given.get(name)
    if text is None:
        return default
    is_number = re.fullmatch(r"[+-]?[0-9]{1,18}", text) is not None
    if is_number and least <= int(text) and (most is None or int(text) <= most):
        return int(text)
    bounds = f"of at least {least}" if most is None else f"from {least} to {most}"
    raise SettingsError(f"{name} must be a whole number {bounds}, not {text!r}.")


def _choice(given: Mapping[str, str], name: str, known: tuple[str, ...], default: str) -> str:
    text = given.get(name, default).lower()
    if text not in known:
        raise SettingsError(f"{name} must be one of {', '.join(known)}, not {given[name]!r}.")
    return text


# --- Variables without effect ---------------------------------------------------------------

Check = Callable[[Mapping[str, str], str], object]


def _any(given: Mapping[str, str], name: str) -> None:
    """Take every value."""


def _count(given: Mapping[str, str], name: str) -> None:
    _whole(given, name, 1, 1)


def _count_or_zero(given: Mapping[str, str], name: str) -> None:
    _whole(given, name, 0, 0)


def _fraction(given: Mapping[str, str], name: str) -> float:
    try:
        fraction = float(given.get(name, "0.2"))
    except ValueError:
        fraction = -1.0
    if not 0 <= fraction < 1:
        raise SettingsError(f"{name} must be a number from 0 to below 1, not {given[name]!r}.")
    return fraction


def _thread_list(given: Mapping[str, str], name: str) -> None:
    # OpenMP 5.2, 21.1.2: a list, one number for each level of nesting.
    if re.fullmatch(r"\s*[1-9]\d*\s*(,\s*[1-9]\d*\s*)*", given[name]) is None:
        raise SettingsError(f"{name} must be a whole number of at least 1, not {given[name]!r}.")


_NO_SCRIPT = "the archive has no code/inference.py, so there are no script workers"
_NO_BATCHING = "batching is off, SAGEMAKER_TFS_ENABLE_BATCHING=true is its switch"
_NO_OPENMP = (
    "TensorFlow is built without OpenMP here, SAGEMAKER_TFS_INTRA_OP_PARALLELISM is its switch"
)
_NOT_READ = "this container does not read it"
# What has no effect where no script is, and why. Their values are checked in any case, but for the
# class: gunicorn has more of them than are here.
_SCRIPT_ONLY: Mapping[str, str] = {
    "SAGEMAKER_GUNICORN_WORKERS": _NO_SCRIPT,
    _THREADS: _NO_SCRIPT,
    _CLASS: _NO_SCRIPT,
    "SAGEMAKER_GUNICORN_LOGLEVEL": _NO_SCRIPT,
    "SAGEMAKER_GUNICORN_TIMEOUT_SECONDS": _NO_SCRIPT,
    _READ_TIMEOUT: "there is no proxy before the models",
    _PORTS: "the model servers need no ports of their own",
}
_INERT: Mapping[str, tuple[Check, str]] = {
    "SAGEMAKER_TFS_MAX_BATCH_SIZE": (_count, _NO_BATCHING),
    "SAGEMAKER_TFS_BATCH_TIMEOUT_MICROS": (_count_or_zero, _NO_BATCHING),
    "SAGEMAKER_TFS_NUM_BATCH_THREADS": (_count, _NO_BATCHING),
    "SAGEMAKER_TFS_MAX_ENQUEUED_BATCHES": (_count, _NO_BATCHING),
    "SAGEMAKER_BATCH": (_any, _NO_BATCHING),
    "SAGEMAKER_TFS_VERSION": (_any, "the TensorFlow that is installed here serves"),
    "SAGEMAKER_MULTI_MODEL_UNIVERSAL_BUCKET": (_any, "it counts only together with _PREFIX"),
    "SAGEMAKER_MULTI_MODEL_UNIVERSAL_PREFIX": (_any, "it counts only together with _BUCKET"),
    _OMP: (_thread_list, _NO_OPENMP),
    "TF_DISABLE_MKL": (
        _any,
        "this TensorFlow does not read it, TF_ENABLE_ONEDNN_OPTS is its switch",
    ),
    "TF_DISABLE_POOL_ALLOCATOR": (_any, "this TensorFlow does not read it"),
}
# What TensorFlow Serving's own binary reads, or needs, and ours does not.
_TFS_ONLY = frozenset({_OMP, "TF_DISABLE_MKL", "TF_DISABLE_POOL_ALLOCATOR", _PORTS})
_EFFECTIVE = frozenset(
    {
        "SAGEMAKER_BIND_TO_PORT",
        "SAGEMAKER_TFS_INSTANCE_COUNT",
        "SAGEMAKER_TFS_INTER_OP_PARALLELISM",
        "SAGEMAKER_TFS_INTRA_OP_PARALLELISM",
        _DEFAULT_MODEL,
        _WAIT_TIME,
        "SAGEMAKER_TFS_ENABLE_BATCHING",
        "SAGEMAKER_TFS_NGINX_LOGLEVEL",
        MULTI_MODEL,
        _MARGIN,
    }
)


def _worker_notices(
    given: Mapping[str, str], workers: WorkerSettings, *, is_tfs: bool
) -> list[str]:
    """Say what is something else than its variable spells."""
    notices = []
    if workers.kind == "gthread" and given.get(_CLASS, "").lower() == "sync":
        notices.append(
            f"{_CLASS}={given[_CLASS]} is gthread here, as gunicorn has it with more than one"
            f" {_THREADS}."
        )
    if _OMP in given and not is_tfs:
        _thread_list(given, _OMP)
        notices.append(
            f"{_OMP}={given[_OMP]} is for what the script imports; the models do not read it:"
            f" {_NO_OPENMP}."
        )
    read_timeout = given.get(_READ_TIMEOUT)
    if read_timeout is not None and int(read_timeout) < workers.read_timeout_s:
        notices.append(
            f"{_READ_TIMEOUT}={read_timeout} is raised to {workers.read_timeout_s:g}, so that no"
            " request is given up while its worker may still have it."
        )
    return notices


def _notices(
    given: Mapping[str, str], *, is_on_port: bool, has_script: bool, is_tfs: bool
) -> list[str]:
    notices = []
    is_gevent = given.get(_CLASS, "gevent").lower() == "gevent"
    # What others than the models read.
    others = _TFS_ONLY if is_tfs else frozenset((_OMP,)) if has_script else frozenset()
    for name, value in sorted(given.items()):
        if name in others:
            continue
        if name in _SCRIPT_ONLY:
            if not has_script:
                reason = _SCRIPT_ONLY[name]
            elif name == _THREADS and is_gevent:
                reason = f"{_CLASS} is gevent, whose workers take requests as they come"
            else:
                continue
        elif name in _INERT:
            check, reason = _INERT[name]
            check(given, name)
            if reason == _NO_BATCHING and _is_batching(given):
                continue
        elif name == "SAGEMAKER_BIND_TO_PORT" and not is_on_port:
            reason = "the caller chose where this container listens"
        elif name.startswith(_PREFIX) and name not in _EFFECTIVE:
            reason = _NOT_READ
        else:
            continue
        notices.append(f"{name}={value} has no effect: {reason}.")
    return notices
