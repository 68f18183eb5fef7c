"""The page that tells users what of AWS is here."""

from pathlib import Path

from windtunnel.cloud.gateway.coverage_page import page

ROOT = Path(__file__).parents[4]


def test_the_page_says_what_the_code_does() -> None:
    """Who reads that something is here must find it so; run the page's module to renew it."""
    assert (ROOT / "docs" / "coverage.md").read_text() == page()
