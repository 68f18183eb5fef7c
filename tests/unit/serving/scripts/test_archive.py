"""What of a script an archive holds."""

from pathlib import PurePosixPath

import pytest

from windtunnel.serving.scripts.archive import Script, choose_script


def choose(*paths: str) -> Script | None:
    return choose_script([PurePosixPath("m/1/saved_model.pb"), *map(PurePosixPath, paths)])


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        ((), None),
        (("inference.py", "m/code/inference.py", "code/other.py"), None),
        (("code/inference.py",), Script(True, False, False)),
        # The original starts its Python service for these, too, with a handler of its own.
        (("code/requirements.txt",), Script(False, True, False)),
        (("code/lib/package/__init__.py",), Script(False, False, True)),
    ],
)
def test_a_script_is_what_lies_below_code(paths: tuple[str, ...], expected: Script | None) -> None:
    """An archive without one is served by its models alone, at their full speed."""
    assert choose(*paths) == expected


def test_a_library_has_requirements_ignored_and_that_is_said() -> None:
    """As in the original, whose users vendor what cannot be downloaded in their network."""
    script = choose("code/inference.py", "code/requirements.txt", "code/lib/package.py")

    assert script is not None
    assert not script.is_to_be_installed
    assert script.notices == (
        "code/requirements.txt has no effect: code/lib holds what the script needs.",
    )
