"""Real model servers for tests: tiny models, a zygote, containers forked from it."""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import pytest
from tests.archives import unpack
from tests.serving.harness import Addresses, Alone, Zygote
from tests.shared import made_once, tiny_archives

from windtunnel.serving import tfs_api


@pytest.fixture(scope="session")
def tiny_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Unpacked archives: half_plus_two/00000123 and tiny_conv/1, each in a folder of its own."""
    directory = tmp_path_factory.mktemp("models")
    for archive in tiny_archives(tmp_path_factory).glob("*.tar.gz"):
        unpack(archive, directory / archive.name.removesuffix(".tar.gz"))
    return directory


@pytest.fixture
def make_zygote() -> Iterator[Callable[[], Zygote]]:
    """Start zygotes; what is left of them is killed."""
    yield from _zygotes()


@pytest.fixture(scope="session")
def zygote() -> Iterator[Zygote]:
    """One warm zygote for all tests."""
    source = _zygotes()
    made = next(source)()
    made.lines.wait("warm")
    yield made
    for _ in source:
        pass


def _zygotes() -> Iterator[Callable[[], Zygote]]:
    # Short, because the path of a Unix socket is.
    directory = Path(tempfile.mkdtemp(prefix="wt-"))
    made: list[Zygote] = []

    def make() -> Zygote:
        below = directory / str(len(made))
        below.mkdir()
        made.append(Zygote(below))
        return made[-1]

    yield make
    for zygote in made:
        zygote.process.kill()
        zygote.close()
    shutil.rmtree(directory)


@pytest.fixture
def run_alone() -> Iterator[Callable[..., Alone]]:
    """Start `windtunnel container`; what is left of it is killed."""
    started: list[Alone] = []

    def run(model_dir: Path, *options: str, **environment: str) -> Alone:
        started.append(Alone(model_dir, options, environment))
        return started[-1]

    yield run
    for alone in started:
        alone.process.kill()
        alone.process.communicate()


@pytest.fixture
def scripted(tiny_models: Path, tmp_path: Path) -> Callable[..., Path]:
    """Make an unpacked archive of half_plus_two with these files below `code`."""

    def make(inference: str | None = None, **others: str) -> Path:
        directory = tmp_path / "model"
        shutil.copytree(tiny_models / "half_plus_two", directory)
        files = {"inference.py": inference} if inference is not None else {}
        for name, text in (files | others).items():
            path = directory / "code" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return directory

    return make


@pytest.fixture(scope="session")
def half(zygote: Zygote, tiny_models: Path) -> Iterator[str]:
    """The address of one model server of half_plus_two, shared by tests that leave it as it is."""
    container = zygote.start(tiny_models / "half_plus_two")
    (address,) = container.wait_listening()
    yield address
    container.stop()


@pytest.fixture(scope="session")
def conv(zygote: Zygote, tiny_models: Path) -> Iterator[str]:
    """The address of one model server of tiny_conv."""
    container = zygote.start(tiny_models / "tiny_conv")
    (address,) = container.wait_listening()
    yield address
    container.stop()


@pytest.fixture(scope="session")
def many_models(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Addresses]:
    """A model server of all models that `many_models.py` writes, alone, with both its APIs."""
    program = Path(__file__).with_name("many_models.py")
    directory = made_once(tmp_path_factory, "many", [str(program)])
    alone = Alone(directory, ("--port=0", "--grpc-port=0"), {})
    yield Addresses(alone.wait_ready(), alone.wait_grpc(), alone.process.pid)
    alone.process.terminate()
    alone.process.communicate()


@pytest.fixture(scope="session")
def many(many_models: Addresses) -> str:
    """Its address for REST."""
    return many_models.rest


@pytest.fixture(scope="session")
def channel(many_models: Addresses) -> Iterator[grpc.Channel]:
    """A channel to it, as TensorFlow Serving's clients make one."""
    with grpc.insecure_channel(many_models.grpc) as opened:
        yield opened


@pytest.fixture(scope="session", autouse=True)
def messages() -> None:
    """Let clients import TensorFlow Serving's messages; the official ones, if they are there."""
    tfs_api.offer()
