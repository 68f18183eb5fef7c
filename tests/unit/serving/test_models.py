"""Which models an archive holds, by the original's rule."""

from pathlib import Path, PurePosixPath

import pytest

from windtunnel.serving.errors import ArchiveError
from windtunnel.serving.models import Models, choose_models, list_files


def choose(*paths: str, default: str | None = None) -> Models:
    return choose_models([PurePosixPath(path) for path in paths], default)


def test_the_workshops_layout_is_one_model_named_servo() -> None:
    """`export/Servo/1` is what SageMaker's training containers write."""
    models = choose("export/Servo/1/saved_model.pb", "export/Servo/1/variables/variables.index")

    assert models.default == "Servo"
    assert models.by_name["Servo"].versions == {1: PurePosixPath("export/Servo/1")}


def test_versions_are_numbers_whatever_their_zeros() -> None:
    """00000123 is version 123, and 9 is before 10."""
    models = choose("m/00000123/saved_model.pb", "m/9/saved_model.pb", "m/10/saved_model.pb")

    assert sorted(models.by_name["m"].versions) == [9, 10, 123]
    assert models.by_name["m"].latest == 123


def test_a_version_at_the_top_is_the_model_named_model() -> None:
    """Its folder is /opt/ml/model in the original."""
    assert choose("1/saved_model.pb").default == "model"


def test_the_default_is_the_named_model_or_the_first_by_path() -> None:
    """The same archive serves the same model at every start."""
    paths = ("b/1/saved_model.pb", "a/1/saved_model.pb")

    assert choose(*paths).default == "a"
    assert choose(*paths, default="b").default == "b"
    with pytest.raises(ArchiveError, match="SAGEMAKER_TFS_DEFAULT_MODEL_NAME=c: .* only a, b"):
        choose(*paths, default="c")


@pytest.mark.parametrize(
    "paths", [(), ("model.h5",), ("saved_model.pb",), ("m/one/saved_model.pb",), ("m/1/model.pb",)]
)
def test_an_archive_without_a_saved_model_is_refused(paths: tuple[str, ...]) -> None:
    """The message says what the layout must be."""
    with pytest.raises(ArchiveError, match=r"No SavedModel was found: .* NAME/VERSION/"):
        choose(*paths)


def test_two_models_of_one_name_are_refused() -> None:
    """A request names a model by its name alone."""
    with pytest.raises(ArchiveError, match="Two models are named m: x/m and y/m"):
        choose("x/m/1/saved_model.pb", "y/m/1/saved_model.pb")


def test_files_are_listed_through_links_and_never_in_circles(tmp_path: Path) -> None:
    """A folder of versions is often a link; a link to its own parent must end."""
    (tmp_path / "real" / "1").mkdir(parents=True)
    (tmp_path / "real" / "1" / "saved_model.pb").touch()
    (tmp_path / "linked").symlink_to(tmp_path / "real")
    (tmp_path / "real" / "again").symlink_to(tmp_path)

    found = list_files(tmp_path)

    assert PurePosixPath("linked/1/saved_model.pb") in found
    assert PurePosixPath("real/1/saved_model.pb") in found


def test_a_missing_directory_is_said() -> None:
    """A typing error on the command line."""
    with pytest.raises(ArchiveError, match="does not exist"):
        list_files(Path("/nowhere/at/all"))
