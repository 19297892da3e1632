"""What all tests share."""

from __future__ import annotations

import os

from hypothesis import settings
from servers import (
    mortal_server,
    pytest_collection_finish,
    pytest_generate_tests,
    pytest_runtest_makereport,
    pytest_sessionfinish,
    pytest_unconfigure,
    server,
)

# A loaded machine is no defect; and where nobody can look at a new example, it would only stop the line.
settings.register_profile("lfb", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("lfb")

__all__ = [
    "mortal_server",
    "pytest_collection_finish",
    "pytest_generate_tests",
    "pytest_runtest_makereport",
    "pytest_sessionfinish",
    "pytest_unconfigure",
    "server",
]
