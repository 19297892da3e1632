"""What all tests share."""

from __future__ import annotations

from servers import (
    mortal_server,
    pytest_collection_finish,
    pytest_generate_tests,
    pytest_runtest_makereport,
    pytest_sessionfinish,
    pytest_unconfigure,
    server,
)

__all__ = [
    "mortal_server",
    "pytest_collection_finish",
    "pytest_generate_tests",
    "pytest_runtest_makereport",
    "pytest_sessionfinish",
    "pytest_unconfigure",
    "server",
]
