"""Fixtures that the whole suite shares."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import pytest


@pytest.fixture(scope="session")
def tff_context():
    """One worker process for all tests that execute TFF computations."""
    from tff_finance.runtime import local

    with local.execution_context():
        yield
