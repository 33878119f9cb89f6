"""Versions tell which code a result comes from."""

import shutil

import pytest

from tff_finance.records import versions


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A copy of the package, to be changed."""
    copy = tmp_path / "tff_finance"
    shutil.copytree(
        versions._PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__")
    )
    monkeypatch.setattr(versions, "_PACKAGE", copy)
    yield copy
    versions._versions.cache_clear()


def source():
    versions._versions.cache_clear()
    return versions.result_versions()["tff-finance source"]


def test_names_packages_and_python():
    found = versions.result_versions()
    assert found["python"].startswith("3.")
    assert found["tensorflow-federated"] == "0.87.0"
    assert {"tensorflow", "numpy", "pandas", "scikit-learn", "tff-finance"} < set(found)


def test_the_same_source_wherever_it_lies(package):
    here = source()
    shutil.move(package, package.parent / "elsewhere")
    versions._PACKAGE = package.parent / "elsewhere"
    assert source() == here


def test_a_changed_module_is_another_source(package):
    before = source()
    path = package / "training" / "loop.py"
    path.write_text(path.read_text() + "\n# changed\n")
    assert source() != before


def test_a_moved_module_is_another_source(package):
    before = source()
    # The order of the modules, and so of their content, is the same.
    (package / "checks.py").rename(package / "check.py")
    assert source() != before


def test_the_report_has_no_part_in_results(package):
    before = source()
    path = package / "report" / "page.py"
    path.write_text(path.read_text() + "\n# changed\n")
    assert source() == before


def test_a_process_has_one_source_whatever_is_edited_while_it_runs(package):
    before = source()
    (package / "checks.py").unlink()
    assert versions.result_versions()["tff-finance source"] == before
