"""The binary that compares aggregations under attack, at its smallest."""

import json

import pytest

from tests.experiments.quick_call import full_call, quick_call

MODULE = "experiments.compare_robustness"


@pytest.mark.parametrize(
    ("flag", "named"),
    [
        ("--hostile_institution=bank_z", "must be one of bank_a, bank_b"),
        ("--trimmed_share=0.5", "`trimmed_share` must be at least 0 and below 0.5"),
        ("--attack_factor=0", "`attack_factor` must be positive"),
        ("--heterogeneity=2", "`heterogeneity` must be between"),
        ("--attacks=none,magic", "`attack` must be one of none, sign_flip"),
        ("--methods=fed_magic", "`methods` must be one of"),
        ("--rounds=0", "`rounds` must be at least 1, got 0"),
    ],
)
def test_flags_that_make_no_sense_get_one_line_and_exit_code_2(tmp_path, flag, named):
    result = quick_call(MODULE, f"--output_dir={tmp_path / 'out'}", flag)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.count("\n") == 1
    assert named in result.stderr
    assert not (tmp_path / "out").exists()


def test_help_has_the_flags_of_runs_that_go_on():
    result = quick_call(MODULE, "--help")
    assert "--[no]restart" in result.stdout
    assert "--checkpoint_seconds" in result.stdout


def test_every_attack_meets_every_aggregation(tmp_path):
    result = full_call(
        MODULE,
        f"--output_dir={tmp_path}",
        "--seeds=1",
        "--rounds=2",
        "--attacks=scale,none",
        "--methods=fed_avg,fed_avg_rejecting",
    )
    assert result.returncode == 0, result.stderr
    found = json.loads((tmp_path / "robustness.json").read_text())
    assert list(found["attacks"]) == ["scale", "none"]
    of_all = found["config"]["training"]["robustness"]
    assert (of_all["attack"], of_all["hostile_institution"]) == (None, "bank_c")
    for attack, methods in found["attacks"].items():
        assert list(methods) == found["config"]["methods"]
        for method, values in methods.items():
            assert f"{100 * values['accuracy']['mean']:.1f}" in result.stdout
            # The first round of it measures all five, the second knows who explodes.
            expected = 5 + (attack != "none") if method == "fed_avg_rejecting" else 0
            assert values["rejected_updates"] == expected
        summary = json.loads((tmp_path / attack / "summary.json").read_text())
        assert summary["config"]["training"]["robustness"]["attack"] == attack
    assert (tmp_path / "robustness.png").stat().st_size > 10_000
