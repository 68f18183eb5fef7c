"""The home keeps its secrets, its lock and its word about where the cloud answers."""

import os
import stat
from pathlib import Path

import pytest

from windtunnel.core.errors import NotReadyError
from windtunnel.core.home import CloudRecord, Home, HomeInUseError, write_private


def test_credentials_are_made_once_and_for_the_owner_only(tmp_path: Path) -> None:
    """A key that changed would lock out every client; one that all can read opens the door."""
    first = Home(tmp_path / "home").credentials()
    again = Home(tmp_path / "home").credentials()

    assert first == again
    assert first.access_key_id.startswith("AKIA")
    assert len(first.access_key_id) == 20
    files = [path for path in (tmp_path / "home").iterdir() if path.is_file()]
    assert files
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in files)
    assert stat.S_IMODE((tmp_path / "home").stat().st_mode) == 0o700


def test_two_homes_have_different_keys(tmp_path: Path) -> None:
    """What was signed for one cloud means nothing to another."""
    assert Home(tmp_path / "a").credentials() != Home(tmp_path / "b").credentials()


def test_a_home_is_held_by_one_at_a_time(tmp_path: Path) -> None:
    """Two clouds over one store would corrupt it."""
    home = Home(tmp_path / "home")
    with home.locked():
        assert home.is_locked()
        with pytest.raises(HomeInUseError, match="in use"), Home(tmp_path / "home").locked():
            pass
    assert not home.is_locked()


def test_a_home_that_can_only_be_read_still_says_that_it_is_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A user of a running cloud must not be told to start one."""
    home = Home(tmp_path / "home")
    opened = os.open

    def reads_only(path: Path, flags: int, *more: int) -> int:
        if flags & (os.O_RDWR | os.O_WRONLY):
            raise OSError(30, "Read-only file system")
        return opened(path, flags, *more)

    with home.locked():
        monkeypatch.setattr(os, "open", reads_only)
        assert home.is_locked()


def test_a_record_of_a_cloud_that_is_gone_is_not_believed(tmp_path: Path) -> None:
    """After kill -9 the file is still there; a client must be told to start a cloud."""
    home = Home(tmp_path / "home")
    with home.locked():
        home.write_record(CloudRecord("http://127.0.0.1:1", os.getpid(), "g", 1.0))
        assert home.running().url == "http://127.0.0.1:1"

    with pytest.raises(NotReadyError, match=f"windtunnel up --home {home.path}"):
        home.running()


def test_the_home_is_the_option_then_the_variable_then_the_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One word on the command line wins over what a shell was left with."""
    monkeypatch.delenv("WINDTUNNEL_HOME", raising=False)
    assert Home.resolve().path == Path.home() / ".windtunnel"
    monkeypatch.setenv("WINDTUNNEL_HOME", str(tmp_path / "variable"))
    assert Home.resolve().path == tmp_path / "variable"
    assert Home.resolve(tmp_path / "option").path == tmp_path / "option"


def test_a_deep_home_still_gets_paths_short_enough_for_sockets(tmp_path: Path) -> None:
    """A socket's path holds 108 bytes; a home may lie anywhere."""
    deep = Home(tmp_path / ("d" * 120))
    deep.prepare()
    with deep.socket_directory() as directory:
        assert len(os.fsencode(directory)) < 60
        assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert not directory.exists()


def test_a_private_file_is_whole_or_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A crash while writing leaves the old text, and no litter."""
    target = tmp_path / "file"
    write_private(target, "old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_private(target, "new")
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]
