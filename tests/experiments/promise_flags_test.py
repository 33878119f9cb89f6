"""A stated protection that no method gives is refused; other settings are not."""

import pytest

from tests.experiments.tune_test import RATE, call

OWN = ("--task=risk", "--contract=c.toml", "--table=a=a.csv")
PRESET = ("--flagfile=experiments/presets/taiwan.flags", "--data_dir=nowhere")


@pytest.mark.parametrize(
    ("module", "arguments", "flag", "readers"),
    [
        (
            "bank_case_study",
            ["--methods=local,fed_avg", "--target_epsilon=1"],
            "target_epsilon",
            "local, fed_avg: it is of fed_avg_dp_sgd.",
        ),
        (
            "bank_case_study",
            ["--methods=fed_avg_dp_sgd", "--branches=1000"],
            "branches",
            "fed_avg_dp_sgd: it is of fed_avg_branches, dp_fed_avg, ",
        ),
        (
            "bank_case_study",
            ["--methods=fed_avg_poisson", "--noise_multiplier=1.1"],
            "noise_multiplier",
            "fed_avg_poisson: it is of fed_avg_dp_sgd.",
        ),
        (
            "bank_case_study",
            ["--methods=local", "--contribution=fed_avg", "--secure_clip_norm=9"],
            "secure_clip_norm",
            "local, fed_avg: it is of fed_avg_secure.",
        ),
        (
            "compare",
            [*OWN, "--methods=fed_avg,dp_ftrl", "--delta=1e-6"],
            "delta",
            "fed_avg, dp_ftrl: it is of fed_avg_dp_sgd.",
        ),
        (
            "compare",
            [*PRESET, "--privacy_unit=record"],
            "privacy_unit",
            "it is of fed_avg_dp_sgd, fed_avg_poisson.",
        ),
        (
            "compare_multi_task",
            ["--compared=fed_per", "--institution_epsilon=1"],
            "institution_epsilon",
            "local, fed_per: it is of dp_fed_avg, ",
        ),
        (
            "train",
            [*OWN, "--algorithm=fed_avg", "--institution_delta=1e-6"],
            "institution_delta",
            "fed_avg: it is of dp_fed_avg, ",
        ),
        (
            "tune",
            [RATE, "--target_epsilon=2"],
            "target_epsilon",
            "fed_avg: it is of fed_avg_dp_sgd.",
        ),
        (
            "privacy_frontier",
            ["--honest_share=0.9"],
            "honest_share",
            "fed_avg: it is of dp_fed_avg_distributed.",
        ),
    ],
)
def test_a_promise_that_nobody_keeps_is_refused(
    tmp_path, module, arguments, flag, readers
):
    code, output, errors = call(
        f"--output_dir={tmp_path / 'out'}", *arguments, module=module
    )
    assert (code, output) == (2, ""), errors
    assert errors.startswith(f"{module}: error: flag --{flag}: `{flag}` makes no diff")
    assert readers in errors
    assert errors.count("\n") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("flag", ["target_epsilon", "noise_multiplier"])
def test_the_frontier_sets_these_itself(tmp_path, flag):
    code, output, errors = call(
        f"--output_dir={tmp_path / 'out'}", f"--{flag}=1", module="privacy_frontier"
    )
    assert (code, output) == (2, "")
    assert f"--{flag} can't be given: noise is calibrated to each of --epsil" in errors


@pytest.mark.parametrize(
    ("module", "arguments"),
    [
        ("compare", PRESET),  # has a clipping norm, for other methods
        ("bank_case_study", ["--methods=fed_avg", "--l2_clip_norm=8", "--dp_rounds=3"]),
        (
            "bank_case_study",
            ["--methods=local,fed_avg_dp_sgd", "--target_epsilon=1", "--delta=1e-6"],
        ),
        (
            "bank_case_study",
            [
                "--methods=local",
                "--contribution=fed_avg_secure",
                "--secure_clip_norm=9",
            ],
        ),
        (
            "bank_case_study",
            [
                "--methods=fed_avg_dp_sgd,fed_avg_branches",
                "--branches=10",
                "--delta=0.1",
            ],
        ),
    ],
)
def test_what_some_method_reads_and_mere_settings_are_taken(
    tmp_path, module, arguments
):
    """Up to the folder, which can't be made."""
    (tmp_path / "file").touch()
    code, _, errors = call(
        f"--output_dir={tmp_path / 'file'}", *arguments, module=module
    )
    assert code == 1, errors
    assert "can't write" in errors
