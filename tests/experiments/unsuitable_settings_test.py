"""Binaries that train refuse what doesn't suit their institutions before they do."""

import pytest

from tests.experiments.compare_test import write_tables
from tests.experiments.tune_test import call

FEW = (
    "`branches` must give at least 100 clients for privacy at institution level, got "
    "{}: noise that hides one of so few drowns the others."
)
MORE_ROWS = "`largest_weight` must be at least {}, the training rows of 'bank_{}', got"


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    """Flags of two banks with 240 and 180 training rows."""
    return ("--task=risk", *write_tables(tmp_path_factory.mktemp("tables")))


def assert_refused(module, *arguments, folder, text):
    code, output, errors = call(
        f"--output_dir={folder / 'out'}", *arguments, module=module
    )
    assert (code, output) == (2, "")
    assert errors.count("\n") == 1
    assert text in errors
    assert not (folder / "out" / "checkpoints").exists()


@pytest.mark.parametrize(
    ("module", "arguments"),
    [
        ("compare", ["--methods=local,dp_fed_avg"]),
        ("train", ["--algorithm=dp_fed_avg"]),
        ("tune", ["--method=dp_fed_avg", "--search=batch_size=8,16"]),
    ],
)
def test_too_few_to_hide_in_on_tables(tmp_path, tables, module, arguments):
    assert_refused(module, *tables, *arguments, folder=tmp_path, text=FEW.format(2))


@pytest.mark.parametrize(
    ("module", "arguments", "banks"),
    [
        ("bank_case_study", ["--methods=local,dp_ftrl"], 3),
        ("tune", ["--method=dp_ftrl", "--search=batch_size=8,16"], 3),
        ("compare_robustness", ["--methods=dp_ftrl", "--attacks=none"], 5),
    ],
)
def test_too_few_to_hide_in_among_made_up_banks(tmp_path, module, arguments, banks):
    assert_refused(module, *arguments, folder=tmp_path, text=FEW.format(banks))


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (
            ["--methods=local,fed_avg_secure", "--secure_largest_weight=239"],
            MORE_ROWS.format(240, "a"),
        ),
        (
            ["--contribution=fed_avg_secure", "--secure_largest_weight=9"],
            MORE_ROWS.format(240, "a"),
        ),
        (["--cohort_size=3"], "`cohort_size` must be between 1 and 2, got 3"),
        (
            ["--methods=local,fed_avg_branches", "--branches=181"],
            "`branches` must be at most 180, the training rows of 'bank_b', got 181",
        ),
    ],
)
def test_what_banks_with_tables_cannot_satisfy(tmp_path, tables, arguments, text):
    assert_refused("compare", *tables, *arguments, folder=tmp_path, text=text)


@pytest.mark.parametrize(
    ("module", "arguments", "text"),
    [
        (
            "bank_case_study",
            ["--methods=fed_avg_secure", "--secure_largest_weight=1e3"],
            MORE_ROWS.format(4000, "a"),
        ),
        (
            "compare_multi_task",
            ["--cohort_size=4", "--compared=fed_avg"],
            "`cohort_size` must be between 1 and 3, got 4",
        ),
    ],
)
def test_what_made_up_banks_cannot_satisfy(tmp_path, module, arguments, text):
    assert_refused(module, *arguments, folder=tmp_path, text=text)


def test_calibration_too():
    code, _, errors = call("--methods=dp_fed_avg", module="calibrate_scenarios")
    assert code == 2
    assert FEW.format(3) in errors
