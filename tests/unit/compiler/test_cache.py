"""What is answered from the cache, and what is not."""

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from windtunnel.compiler import cache
from windtunnel.compiler.job import Job, make_job
from windtunnel.core import limits


@pytest.fixture
def job(tmp_path: Path) -> Job:
    (tmp_path / "model.tar.gz").write_bytes(b"model")
    (tmp_path / "report").mkdir()
    return make_job(
        {
            "archive": tmp_path / "model.tar.gz",
            "output": tmp_path / "out.tar.gz",
            "report_dir": tmp_path / "report",
            "cache_dir": tmp_path / "cache",
            "framework": "TENSORFLOW",
            "target": "local",
        }
    )


def make_outcome(job: Job, content: bytes = b"compiled") -> None:
    job.output.write_bytes(content)
    for name in cache.REPORTS:
        (job.report_dir / name).write_text(name)


def test_an_outcome_is_given_again_with_its_report(job: Job) -> None:
    """A second identical job is done in the time that a copy takes."""
    assert cache.take(job, "k") is None
    make_outcome(job)
    cache.keep(job.cache_dir, "k", job.output, job.report_dir, {"summary": "fast"})
    for path in (job.output, *job.report_dir.iterdir()):
        path.unlink()

    assert cache.take(job, "k") == {"summary": "fast"}

    assert job.output.read_bytes() == b"compiled"
    assert {path.name for path in job.report_dir.iterdir()} == {*cache.REPORTS}
    assert {path.name for path in job.output.parent.iterdir()} == {
        "model.tar.gz", "out.tar.gz", "report", "cache",
    }  # fmt: skip


def test_without_a_cache_nothing_is_kept(job: Job) -> None:
    """`--no-cache`."""
    job = replace(job, cache_dir=None)
    make_outcome(job)
    cache.keep(job.cache_dir, "k", job.output, job.report_dir, {})

    assert cache.take(job, "k") is None


@pytest.mark.parametrize("lost", [cache.ARTEFACT, cache.OUTCOME, cache.REPORTS[0]])
def test_what_is_not_whole_is_made_again(job: Job, lost: str) -> None:
    """A cache that was tidied by hand costs time, and no job."""
    assert job.cache_dir is not None
    make_outcome(job)
    cache.keep(job.cache_dir, "k", job.output, job.report_dir, {"n": 1})
    (job.cache_dir / "k" / lost).unlink()
    job.output.unlink()

    assert cache.take(job, "k") is None
    assert not job.output.exists()

    make_outcome(job)
    cache.keep(job.cache_dir, "k", job.output, job.report_dir, {"n": 2})
    assert cache.take(job, "k") == {"n": 2}


def test_an_archive_that_is_not_what_was_kept_is_made_again(job: Job) -> None:
    """A disk that was full: the half of an archive is no success."""
    assert job.cache_dir is not None
    make_outcome(job)
    cache.keep(job.cache_dir, "k", job.output, job.report_dir, {"n": 1})
    (job.cache_dir / "k" / cache.ARTEFACT).write_bytes(b"comp")
    job.output.unlink()

    assert cache.take(job, "k") is None
    assert not job.output.exists()

    make_outcome(job)
    cache.keep(job.cache_dir, "k", job.output, job.report_dir, {"n": 2})
    assert cache.take(job, "k") == {"n": 2}
    assert job.output.read_bytes() == b"compiled"


def test_the_least_recently_used_go(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each has the size of a model; what a killed job was keeping counts, too."""
    assert job.cache_dir is not None
    monkeypatch.setattr(limits, "COMPILE_CACHE_COUNT_MAX", 2)
    (job.cache_dir / ".making-old").mkdir(parents=True)
    os.utime(job.cache_dir / ".making-old", (1, 1))
    make_outcome(job)
    for age, key in enumerate(("a", "b")):
        cache.keep(job.cache_dir, key, job.output, job.report_dir, {})
        os.utime(job.cache_dir / key, (100 + age, 100 + age))
    assert cache.take(job, "a") == {}

    cache.keep(job.cache_dir, "c", job.output, job.report_dir, {})

    assert {path.name for path in job.cache_dir.iterdir()} == {"a", "c"}


@pytest.mark.parametrize(
    "changes",
    [
        {"framework": "KERAS"},
        {"target": "ml_c5"},
        {"data_input_config": "[1, 2]"},
        {"compiler_options": '{"objective": "throughput"}'},
        {"compiler_options": '{"tolerance": {"f32": 0.5}}'},
        {"effort": 0.5},
    ],
)
def test_another_job_has_another_key(job: Job, changes: dict[str, Any]) -> None:
    """What a job is told decides what comes of it."""
    given = {
        "archive": job.archive,
        "output": job.output,
        "report_dir": job.report_dir,
        "framework": "TENSORFLOW",
        "target": "local",
    }
    assert cache.key_of(make_job(given)) == cache.key_of(job)

    assert cache.key_of(make_job(given | changes)) != cache.key_of(job)


def test_another_model_or_calibration_has_another_key_and_another_name_has_not(
    job: Job, tmp_path: Path
) -> None:
    """It is the content that counts."""
    before = cache.key_of(job)
    copied = tmp_path / "copy.tar.gz"
    copied.write_bytes(job.archive.read_bytes())
    samples = tmp_path / "c.npz"
    samples.write_bytes(b"samples")
    with_samples = replace(job, calibration=samples)
    key = cache.key_of(with_samples)

    assert cache.key_of(replace(job, archive=copied, output=tmp_path / "else.tar.gz")) == before
    assert key != before
    samples.write_bytes(b"others")
    assert cache.key_of(with_samples) not in {key, before}
    job.archive.write_bytes(b"another model")
    assert cache.key_of(job) != before


def test_other_versions_have_another_key(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    """An upgrade may bring a faster graph."""
    before = cache.key_of(job)
    monkeypatch.setattr(cache, "__version__", "99")

    assert cache.key_of(job) != before
