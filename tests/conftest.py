"""Fixtures that the whole suite shares."""

import os
import pathlib

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import pytest

DATA_DIR_VARIABLE = "TFF_FINANCE_DATA_DIR"


@pytest.fixture(scope="session")
def tff_context():
    """One worker process for all tests that execute TFF computations."""
    from tff_finance.runtime import local

    with local.execution_context():
        yield


@pytest.fixture(scope="session")
def public_data():
    """The folder of public tables, which the project doesn't contain."""
    beside = pathlib.Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = pathlib.Path(os.environ.get(DATA_DIR_VARIABLE) or beside)
    if not folder.is_dir():
        pytest.skip(f"no public tables in {folder}; {DATA_DIR_VARIABLE} names them")
    return folder
