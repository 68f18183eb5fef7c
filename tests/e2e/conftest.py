"""One local cloud for the whole package, and clients that know nothing of it but its URL."""

import functools
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e.play import Client, Maker, client_of
from tests.shared import tiny_archives

from windtunnel.cli.cloud_process import CloudProcess, running_cloud
from windtunnel.core.home import Home


@pytest.fixture(scope="session")
def archives(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the archives of the tiny models, made by TensorFlow in its own process."""
    return tiny_archives(tmp_path_factory)


@pytest.fixture(scope="package")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CloudProcess]:
    """A local cloud in a home of its own."""
    directory = tmp_path_factory.mktemp("cloud")
    with running_cloud(Home(directory / "home"), log=directory / "up.log") as running:
        yield running


@pytest.fixture(scope="module")
def warped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CloudProcess]:
    """A cloud whose clock of scaling runs 60 times as fast: a minute of alarms lasts a second."""
    directory = tmp_path_factory.mktemp("warped")
    home = Home(directory / "home")
    with running_cloud(home, "--warp", "60", log=directory / "up.log") as running:
        yield running


@pytest.fixture(scope="package")
def client(cloud: CloudProcess) -> Client:
    """Clients of the shared cloud, by service."""
    return functools.cache(lambda service: client_of(cloud, service))


@pytest.fixture
def make(client: Client, tmp_path: Path) -> Iterator[Maker]:
    """A maker for one test."""
    bucket = f"b-{uuid.uuid4().hex}"
    client("s3").create_bucket(Bucket=bucket)
    maker = Maker(client, bucket)
    maker.directory = tmp_path
    yield maker
    maker.close()


@pytest.fixture(scope="package")
def half_plus_two(client: Client, archives: Path) -> Iterator[str]:
    """An endpoint that answers x / 2 + 2, shared by the tests that only invoke it."""
    bucket = f"b-{uuid.uuid4().hex}"
    client("s3").create_bucket(Bucket=bucket)
    maker = Maker(client, bucket)
    yield maker.tensorflow(archives / "half_plus_two.tar.gz")
    maker.close()


@pytest.fixture(scope="package")
def tiny_conv(client: Client, archives: Path) -> Iterator[str]:
    """An endpoint that takes [n, 8, 8, 3] pictures, shared likewise."""
    bucket = f"b-{uuid.uuid4().hex}"
    client("s3").create_bucket(Bucket=bucket)
    maker = Maker(client, bucket)
    yield maker.tensorflow(archives / "tiny_conv.tar.gz")
    maker.close()
