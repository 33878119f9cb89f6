"""Fixtures that the whole suite shares."""

import os
import pathlib

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import pytest


@pytest.fixture(scope="session")
def tff_context():
    """One worker process for all tests that execute TFF computations."""
    from tff_finance.runtime import local

    with local.execution_context():
        yield


@pytest.fixture(scope="session")
def public_data():
    """The folder of public tables, which the project doesn't contain."""
    for parent in pathlib.Path(__file__).resolve().parents:
        if (folder := parent / "shared" / "data").is_dir():
            return folder
    pytest.skip("no folder shared/data with public tables above this project")
