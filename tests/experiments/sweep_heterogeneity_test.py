"""The sweep's binary refuses levels that make no sense before it does anything."""

import pytest

from tests.experiments.quick_call import quick_call


@pytest.mark.parametrize(
    ("levels", "named"),
    [
        ("0.5,0.50", "--levels: each level must be given once"),  # one folder
        ("0.3,0.3", "--levels: each level must be given once"),
        ("much", "'much'"),
        ("0,1.5", "`heterogeneity` must be between 0.0 and 1.0, got 1.5"),
    ],
)
def test_bad_levels_get_one_line_and_exit_code_2(tmp_path, levels, named):
    result = quick_call(
        "experiments.sweep_heterogeneity",
        f"--output_dir={tmp_path / 'sweep'}",
        f"--levels={levels}",
    )
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.count("\n") == 1
    assert named in result.stderr
    assert not (tmp_path / "sweep").exists()
