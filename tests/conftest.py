"""Fixtures that the whole suite shares."""

import gc
import os
import pathlib

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import pytest

# To trace a computation makes objects by the million, which live on: to look through
# them as often as Python does takes a twentieth of the time.
gc.set_threshold(50_000, 10, 10)

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
    if named := os.environ.get(DATA_DIR_VARIABLE):
        folder = pathlib.Path(named)
    else:
        above = pathlib.Path(__file__).resolve().parents
        found = [parent / "shared" / "data" for parent in above]
        folder = next((path for path in found if path.is_dir()), found[1])
    if not folder.is_dir():
        pytest.skip(f"no public tables in {folder}; {DATA_DIR_VARIABLE} names them")
    return folder
