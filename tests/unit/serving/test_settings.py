"""A container's environment: what it means, and what is said of what it cannot mean."""

from dataclasses import replace

import pytest

from windtunnel.core import limits
from windtunnel.serving.engines.engine import Threads
from windtunnel.serving.errors import SettingsError
from windtunnel.serving.ports import PortRange
from windtunnel.serving.settings import (
    Batching,
    MultiModel,
    WorkerSettings,
    one_model_environment,
    parse_settings,
)


def notices(**environment: str) -> list[str]:
    return list(parse_settings(environment, is_on_port=True).notices)


def test_without_variables_the_originals_defaults_hold() -> None:
    """An archive with no environment serves as it does in SageMaker's image."""
    settings = parse_settings({"PATH": "/bin"}, is_on_port=True)

    assert settings.bind_port == 8080
    assert settings.server_count == 1
    assert settings.threads == Threads(0, 0)
    assert settings.default_model is None
    assert settings.wait_time_s == 300
    assert not settings.logs_requests
    assert settings.batching is None
    assert settings.notices == ()


def test_batching_has_the_originals_defaults_and_each_variable_its_effect() -> None:
    """The four numbers of TensorFlow Serving's batching parameters; 0 is the count of cores."""
    switched = {"SAGEMAKER_TFS_ENABLE_BATCHING": "True"}
    given = {
        **switched,
        "SAGEMAKER_TFS_MAX_BATCH_SIZE": "16",
        "SAGEMAKER_TFS_BATCH_TIMEOUT_MICROS": "500",
        "SAGEMAKER_TFS_NUM_BATCH_THREADS": "100",
        "SAGEMAKER_TFS_MAX_ENQUEUED_BATCHES": "1",
    }
    transform = {**switched, "SAGEMAKER_BATCH": "true"}

    assert parse_settings(switched, is_on_port=True).batching == Batching(8, 0.001, 0, 0)
    assert parse_settings(given, is_on_port=True).batching == Batching(16, 0.0005, 100, 1)
    assert parse_settings(transform, is_on_port=True).batching == Batching(8, 0.001, 0, 10**8)
    for environment in (switched, given, transform):
        assert parse_settings(environment, is_on_port=True).notices == ()


def test_the_workshops_environment_is_taken() -> None:
    """Eight model servers of one thread; and its 64 workers do nothing, which is said."""
    settings = parse_settings(
        {
            "SAGEMAKER_GUNICORN_WORKERS": "64",
            "SAGEMAKER_TFS_INTER_OP_PARALLELISM": "1",
            "SAGEMAKER_TFS_INTRA_OP_PARALLELISM": "1",
            "SAGEMAKER_TFS_INSTANCE_COUNT": "8",
        },
        is_on_port=False,
    )

    assert settings.server_count == 8
    assert settings.threads == Threads(intra_op=1, inter_op=1)
    assert settings.notices == (
        "SAGEMAKER_GUNICORN_WORKERS=64 has no effect: the archive has no code/inference.py,"
        " so there are no script workers.",
    )


def test_empty_variables_are_unset_ones() -> None:
    """The original tests its variables for truth."""
    assert parse_settings({"SAGEMAKER_TFS_INSTANCE_COUNT": " "}, is_on_port=True).server_count == 1


def test_the_default_model_may_be_named() -> None:
    """`None` is the original's word for the first one found."""
    for value, expected in (("unet", "unet"), ("None", None)):
        environment = {"SAGEMAKER_TFS_DEFAULT_MODEL_NAME": value}

        assert parse_settings(environment, is_on_port=True).default_model == expected


@pytest.mark.parametrize(("level", "expected"), [("info", True), ("DEBUG", True), ("error", False)])
def test_single_requests_are_logged_where_nginx_would(level: str, expected: bool) -> None:  # noqa: FBT001 - a table's column
    """The variable sets how much the web server tells."""
    environment = {"SAGEMAKER_TFS_NGINX_LOGLEVEL": level}

    assert parse_settings(environment, is_on_port=True).logs_requests is expected


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SAGEMAKER_BIND_TO_PORT", "http"),
        ("SAGEMAKER_BIND_TO_PORT", "65536"),
        ("SAGEMAKER_TFS_INSTANCE_COUNT", "0"),
        ("SAGEMAKER_TFS_INSTANCE_COUNT", "1.5"),
        ("SAGEMAKER_TFS_INSTANCE_COUNT", str(limits.MODEL_SERVER_COUNT_MAX + 1)),
        ("SAGEMAKER_TFS_INTER_OP_PARALLELISM", "-1"),
        ("SAGEMAKER_TFS_INTRA_OP_PARALLELISM", "two"),
        ("SAGEMAKER_TFS_WAIT_TIME_SECONDS", "soon"),
        ("SAGEMAKER_TFS_NGINX_LOGLEVEL", "loud"),
        ("SAGEMAKER_GUNICORN_WORKERS", "many"),
        ("SAGEMAKER_TFS_ENABLE_BATCHING", "yes"),
        ("SAGEMAKER_MULTI_MODEL", "1"),
        ("SAGEMAKER_SAFE_PORT_RANGE", "9000"),
        ("SAGEMAKER_SAFE_PORT_RANGE", "9999-9000"),
        ("SAGEMAKER_TFS_FRACTIONAL_GPU_MEM_MARGIN", "1.5"),
        ("SAGEMAKER_TFS_FRACTIONAL_GPU_MEM_MARGIN", "half"),
        ("SAGEMAKER_TFS_FRACTIONAL_GPU_MEM_MARGIN", "nan"),
        ("SAGEMAKER_TFS_BATCH_TIMEOUT_MICROS", "-1"),
        ("SAGEMAKER_TFS_NUM_BATCH_THREADS", "0"),
        ("SAGEMAKER_TFS_MAX_ENQUEUED_BATCHES", "1e3"),
        ("SAGEMAKER_GUNICORN_THREADS", "0"),
        ("SAGEMAKER_GUNICORN_LOGLEVEL", "chatty"),
        ("SAGEMAKER_GUNICORN_TIMEOUT_SECONDS", "30s"),
        ("SAGEMAKER_NGINX_PROXY_READ_TIMEOUT_SECONDS", "0"),
        ("WINDTUNNEL_MODEL_SERVER", "triton"),
        ("OMP_NUM_THREADS", "none"),
        # A malformed value is wrong even where it would have no effect.
        ("SAGEMAKER_TFS_MAX_BATCH_SIZE", "big"),
    ],
)
def test_a_malformed_value_is_refused_by_name(name: str, value: str) -> None:
    """Nobody should have to find out which of twenty variables was mistyped."""
    with pytest.raises(SettingsError) as caught:
        parse_settings({name: value}, is_on_port=True)

    assert str(caught.value).startswith(f"{name} must be ")
    assert value in str(caught.value)


def test_modes_that_are_not_here_are_refused() -> None:
    """A container that served something else than was asked for would be worse than none."""
    environment = {
        "SAGEMAKER_MULTI_MODEL_UNIVERSAL_BUCKET": "b",
        "SAGEMAKER_MULTI_MODEL_UNIVERSAL_PREFIX": "p",
    }
    with pytest.raises(
        SettingsError, match=r"not fetched from S3 here\. Give each model's archive its own"
    ):
        parse_settings(environment, is_on_port=True)


def test_many_models_are_not_served_by_tensorflow_servings_binary() -> None:
    """Ignored, the wish would be measured as if it had been met."""
    environment = {"SAGEMAKER_MULTI_MODEL": "true", "WINDTUNNEL_MODEL_SERVER": "tfs"}
    with pytest.raises(SettingsError, match="does not go with SAGEMAKER_MULTI_MODEL"):
        parse_settings(environment, is_on_port=True)


def test_many_models_have_the_originals_ports_and_time() -> None:
    """A platform is told 507 where it would be on SageMaker, and 408 before it gives up itself."""

    def rules(**environment: str) -> MultiModel | None:
        given = {"SAGEMAKER_MULTI_MODEL": "True", **environment}
        return parse_settings(given, is_on_port=True).multi_model

    assert parse_settings({}, is_on_port=True).multi_model is None
    assert rules() == MultiModel(55.0, 449)
    assert rules(SAGEMAKER_SAFE_PORT_RANGE="9000-9999") == MultiModel(55.0, 449)
    assert rules(SAGEMAKER_SAFE_PORT_RANGE="9000-9003") == MultiModel(55.0, 1)
    assert rules(
        SAGEMAKER_SAFE_PORT_RANGE="9000-9009",
        SAGEMAKER_TFS_INSTANCE_COUNT="2",
        SAGEMAKER_TFS_WAIT_TIME_SECONDS="7",
    ) == MultiModel(7.0, 2)


def test_one_of_many_models_is_served_as_if_it_were_alone() -> None:
    """What counts for the whole container would mislead the processes of one model."""
    given = {
        "SAGEMAKER_MULTI_MODEL": "true",
        "SAGEMAKER_TFS_DEFAULT_MODEL_NAME": "elsewhere",
        "SAGEMAKER_BIND_TO_PORT": "8080",
        "SAGEMAKER_TFS_INSTANCE_COUNT": "2",
    }
    inside = one_model_environment(given, parse_settings(given, is_on_port=True))

    assert inside == {
        "SAGEMAKER_TFS_INSTANCE_COUNT": "2",
        "SAGEMAKER_TFS_WAIT_TIME_SECONDS": "85",
    }


def test_every_variable_without_effect_is_said_with_its_reason() -> None:
    """A knob that does nothing must not look as if it had been turned."""
    found = notices(
        SAGEMAKER_TFS_MAX_BATCH_SIZE="8",
        SAGEMAKER_PROGRAM="inference.py",
        OMP_NUM_THREADS="1",
        TF_DISABLE_MKL="1",
        UNRELATED="1",
    )

    assert [line.partition(" has no effect: ")[0] for line in found] == [
        "OMP_NUM_THREADS=1",
        "SAGEMAKER_PROGRAM=inference.py",
        "SAGEMAKER_TFS_MAX_BATCH_SIZE=8",
        "TF_DISABLE_MKL=1",
    ]
    assert all(line.endswith(".") for line in found)


def test_threads_of_openmp_are_for_what_a_script_imports() -> None:
    """A script with scikit-learn or PyTorch heeds them; its models, beside it, do not."""
    environment = {"OMP_NUM_THREADS": "2"}
    (said,) = parse_settings(environment, is_on_port=True, has_script=True).notices
    assert said.startswith("OMP_NUM_THREADS=2 is for what the script imports; the models do not")

    with pytest.raises(SettingsError, match="OMP_NUM_THREADS must be"):
        parse_settings({"OMP_NUM_THREADS": "x"}, is_on_port=True, has_script=True)


def test_what_is_switched_off_needs_no_notice() -> None:
    """Batching that nobody wants is not missing."""
    assert notices(SAGEMAKER_TFS_ENABLE_BATCHING="false", SAGEMAKER_MULTI_MODEL="false") == []
    (notice,) = notices(SAGEMAKER_TFS_MAX_BATCH_SIZE="8", SAGEMAKER_TFS_ENABLE_BATCHING="false")
    assert "SAGEMAKER_TFS_ENABLE_BATCHING=true is its switch" in notice


def test_the_port_matters_only_where_the_container_listens_on_one() -> None:
    """In a cloud the router reaches the model servers by sockets of their own."""
    environment = {"SAGEMAKER_BIND_TO_PORT": "9000"}

    assert parse_settings(environment, is_on_port=True).notices == ()
    assert "has no effect" in parse_settings(environment, is_on_port=False).notices[0]


def worker_settings(**environment: str) -> WorkerSettings:
    return parse_settings(environment, is_on_port=False, has_script=True).workers


def test_a_script_runs_as_the_original_runs_it_by_default() -> None:
    """One gevent worker, 30 s for a request, 60 s for its client, whatever ports are free."""
    settings = parse_settings({}, is_on_port=False, has_script=True)

    assert settings.workers == WorkerSettings(
        count=1,
        kind="gevent",
        thread_count=limits.SCRIPT_GREENLET_COUNT_MAX,
        timeout_s=30,
        read_timeout_s=60,
        log_level="info",
    )
    assert settings.port_range is None
    assert settings.notices == ()


@pytest.mark.parametrize(
    ("kind", "threads", "expected"),
    [
        ("gevent", "4", ("gevent", limits.SCRIPT_GREENLET_COUNT_MAX)),
        ("gthread", "4", ("gthread", 4)),
        ("sync", "1", ("sync", 1)),
        # gunicorn: "if you try to use the sync worker type and set the threads setting to more
        # than 1, the gthread worker type will be used instead".
        ("sync", "4", ("gthread", 4)),
    ],
)
def test_requests_of_a_worker_at_once_follow_its_class(
    kind: str, threads: str, expected: tuple[str, int]
) -> None:
    """A tuned number of threads means here what it means to gunicorn."""
    workers = worker_settings(
        SAGEMAKER_GUNICORN_WORKER_CLASS=kind, SAGEMAKER_GUNICORN_THREADS=threads
    )

    assert (workers.kind, workers.thread_count) == expected


def test_threads_that_gunicorn_would_not_start_are_said() -> None:
    """With gevent the number of threads is a knob that does nothing, on SageMaker, too."""
    environment = {"SAGEMAKER_GUNICORN_THREADS": "4", "SAGEMAKER_GUNICORN_WORKERS": "2"}
    (notice,) = parse_settings(environment, is_on_port=False, has_script=True).notices

    assert notice.startswith("SAGEMAKER_GUNICORN_THREADS=4 has no effect: ")


def test_a_client_waits_at_least_as_long_as_its_worker() -> None:
    """Otherwise the client would be told of a time-out while its answer was still allowed."""
    workers = worker_settings(
        SAGEMAKER_GUNICORN_TIMEOUT_SECONDS="90", SAGEMAKER_NGINX_PROXY_READ_TIMEOUT_SECONDS="20"
    )

    assert (workers.timeout_s, workers.read_timeout_s) == (90, 90)


def test_what_is_not_as_it_was_spelled_is_said() -> None:
    """Whoever compares two settings must know when they are one."""
    environment = {
        "SAGEMAKER_GUNICORN_WORKER_CLASS": "sync",
        "SAGEMAKER_GUNICORN_THREADS": "2",
        "SAGEMAKER_NGINX_PROXY_READ_TIMEOUT_SECONDS": "20",
    }
    found = parse_settings(environment, is_on_port=False, has_script=True).notices

    assert [notice.partition(",")[0] for notice in found] == [
        "SAGEMAKER_GUNICORN_WORKER_CLASS=sync is gthread here",
        "SAGEMAKER_NGINX_PROXY_READ_TIMEOUT_SECONDS=20 is raised to 30",
    ]


def test_a_safe_port_range_is_two_ports() -> None:
    """As SageMaker writes it."""
    settings = parse_settings(
        {"SAGEMAKER_SAFE_PORT_RANGE": "9000-9999"}, is_on_port=False, has_script=True
    )

    assert settings.port_range == PortRange(9000, 9999)
    assert settings.notices == ()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SAGEMAKER_GUNICORN_WORKER_CLASS", "tornado"),
        ("SAGEMAKER_GUNICORN_THREADS", "0"),
        ("SAGEMAKER_GUNICORN_WORKERS", str(limits.SCRIPT_WORKER_COUNT_MAX + 1)),
        ("SAGEMAKER_GUNICORN_LOGLEVEL", "loud"),
        ("SAGEMAKER_NGINX_PROXY_READ_TIMEOUT_SECONDS", "0"),
    ],
)
def test_what_no_worker_can_be_is_refused_by_name(name: str, value: str) -> None:
    """A script must not run in another way than was asked for."""
    with pytest.raises(SettingsError, match=f"{name} must be .*{value}"):
        worker_settings(**{name: value})


# Every variable of the original, with a value that is not its default.
ORIGINALS = {
    "SAGEMAKER_TFS_VERSION": "1.13",
    "SAGEMAKER_BIND_TO_PORT": "8081",
    "SAGEMAKER_SAFE_PORT_RANGE": "9000-9999",
    "SAGEMAKER_TFS_NGINX_LOGLEVEL": "info",
    "SAGEMAKER_TFS_DEFAULT_MODEL_NAME": "unet",
    "SAGEMAKER_GUNICORN_WORKERS": "2",
    "SAGEMAKER_GUNICORN_THREADS": "2",
    "SAGEMAKER_GUNICORN_WORKER_CLASS": "gthread",
    "SAGEMAKER_GUNICORN_LOGLEVEL": "debug",
    "SAGEMAKER_GUNICORN_TIMEOUT_SECONDS": "31",
    "SAGEMAKER_NGINX_PROXY_READ_TIMEOUT_SECONDS": "61",
    "SAGEMAKER_TFS_INSTANCE_COUNT": "2",
    "SAGEMAKER_TFS_INTER_OP_PARALLELISM": "1",
    "SAGEMAKER_TFS_INTRA_OP_PARALLELISM": "1",
    "SAGEMAKER_TFS_FRACTIONAL_GPU_MEM_MARGIN": "0.3",
    "SAGEMAKER_TFS_WAIT_TIME_SECONDS": "299",
    "OMP_NUM_THREADS": "2",
    "SAGEMAKER_MULTI_MODEL_UNIVERSAL_BUCKET": "b",
    "SAGEMAKER_MULTI_MODEL_UNIVERSAL_PREFIX": "p",
    "SAGEMAKER_TFS_ENABLE_BATCHING": "true",
    "SAGEMAKER_TFS_MAX_BATCH_SIZE": "9",
    "SAGEMAKER_TFS_BATCH_TIMEOUT_MICROS": "999",
    "SAGEMAKER_TFS_NUM_BATCH_THREADS": "3",
    "SAGEMAKER_TFS_MAX_ENQUEUED_BATCHES": "3",
    "TF_DISABLE_MKL": "1",
    "TF_DISABLE_POOL_ALLOCATOR": "1",
}


@pytest.mark.parametrize("has_script", [True, False])
@pytest.mark.parametrize("name", ORIGINALS)
def test_each_of_the_originals_variables_changes_something_or_is_said(
    name: str,
    has_script: bool,  # noqa: FBT001 - a table's column
) -> None:
    """A tuning trial over a variable that silently does nothing would be wasted."""
    default = parse_settings({}, is_on_port=True, has_script=has_script)
    found = parse_settings({name: ORIGINALS[name]}, is_on_port=True, has_script=has_script)
    said = [line for line in found.notices if line.startswith(f"{name}={ORIGINALS[name]} ")]

    assert bool(said) or replace(found, notices=()) != replace(default, notices=())


def test_the_margin_of_a_gpu_is_shared_out_as_in_the_original() -> None:
    """Eight servers with the default margin get a tenth of the memory each."""
    eight = {"SAGEMAKER_TFS_INSTANCE_COUNT": "8"}
    margin = {"SAGEMAKER_TFS_FRACTIONAL_GPU_MEM_MARGIN": "0.4"}

    assert parse_settings(eight, is_on_port=True, gpu_count=1).gpu_fraction == 0.1
    assert parse_settings(eight | margin, is_on_port=True, gpu_count=2).gpu_fraction == 0.075
    for environment, gpu_count, why in (
        (eight | margin, 0, "no GPU is here"),
        (margin, 1, "one model server has the GPU to itself"),
    ):
        settings = parse_settings(environment, is_on_port=True, gpu_count=gpu_count)
        assert settings.gpu_fraction is None
        assert settings.notices == (
            f"SAGEMAKER_TFS_FRACTIONAL_GPU_MEM_MARGIN=0.4 has no effect: {why}.",
        )


def test_the_binary_reads_what_our_model_server_does_not() -> None:
    """A notice that is wrong for `tensorflow_model_server` would mislead who tunes it."""
    environment = {"WINDTUNNEL_MODEL_SERVER": "tfs", "OMP_NUM_THREADS": "2", "TF_DISABLE_MKL": "1"}

    assert notices(**environment) == []
