"""What pip is asked to install, from what it says is missing."""

from typing import Any

from windtunnel.serving.scripts.pins import quote_failure, render_pins


def item(name: str, version: str, **download: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "version": version},
        "is_direct": bool(download),
        "download_info": download or {"url": f"https://files/{name}"},
    }


def test_only_what_is_missing_is_installed_in_the_version_that_was_found() -> None:
    """A second numpy beside the models' own would be another numpy."""
    report = {"install": [item("a", "1.0"), item("B-c", "2.0rc1")]}

    assert render_pins(report, "a\nB-c>=2\nnumpy\n") == ("a==1.0", "B-c==2.0rc1")
    assert render_pins({"install": []}, "numpy\n") == ()


def test_packages_are_looked_for_where_the_requirements_say() -> None:
    """A company's index must be asked the second time, too."""
    text = "  --index-url https://index/simple\n--find-links w\n-r b.txt\na  # comment\n--pre\n"
    pins = render_pins({"install": [item("a", "1.0")]}, text)

    assert pins == ("--index-url https://index/simple", "--find-links w", "--pre", "a==1.0")


def test_what_was_named_by_its_address_is_fetched_from_there() -> None:
    """A wheel's URL, and a commit of a repository."""
    vcs = {"vcs": "git", "commit_id": "c0ffee"}
    report = {
        "install": [
            item("a", "1.0", url="https://host/a.whl"),
            item("b", "1.0", url="https://host/b.git", vcs_info=vcs),
        ]
    }

    assert render_pins(report, "") == (
        "a @ https://host/a.whl",
        "b @ git+https://host/b.git@c0ffee",
    )


def test_a_failure_is_quoted_by_its_errors() -> None:
    """A FailureReason has a thousand characters; pip's output has more."""
    lines = ["Looking in indexes", "ERROR: no version", "ERROR: no match", "", "[notice] new pip"]

    assert quote_failure(lines) == "ERROR: no version ERROR: no match"
    assert quote_failure(["a", "b", "c", "Killed", ""]) == "b c Killed"
