"""Archives, kind and evil."""

import pytest
from tests.archives import Archives


@pytest.fixture(scope="session")
def archives() -> Archives:
    return Archives()
