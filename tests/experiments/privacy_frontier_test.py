"""The binary refuses in one line what has no frontier."""

import os
import subprocess
import sys

import pytest

from tests.experiments.quick_call import ROOT, quick_call

OWN = ("--contract=c.toml", "--table=a=a.csv")


@pytest.mark.parametrize(
    ("flags", "error"),
    [
        (("--epsilons=1,much",), "must be numbers above 0 such as 0.5,1,8"),
        (("--epsilons=1,0",), "must be numbers above 0 such as 0.5,1,8"),
        (("--l2_clip_norm=0",), "`l2_clip_norm` must be positive, got 0.0"),
        ((*OWN, "--task=risk", "--dataset=taiwan"), "give either --dataset"),
    ],
)
def test_usage_errors_are_one_line(tmp_path, flags, error):
    result = quick_call(
        "experiments.privacy_frontier", f"--output_dir={tmp_path}", *flags
    )
    assert result.returncode == 2
    assert error in result.stderr
    assert result.stderr.count("\n") == 1


def test_without_the_extra_it_says_what_to_install(tmp_path):
    program = (
        "import importlib.metadata as m, sys\n"
        "def missing(name): raise m.PackageNotFoundError(name)\n"
        "m.distribution = missing\n"
        "from experiments import command_line, privacy_frontier\n"
        f"sys.argv = ['privacy_frontier', '--output_dir={tmp_path}']\n"
        "command_line.run(privacy_frontier.main)\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert result.returncode == 1
    assert "tensorflow-empirical-privacy isn't installed" in result.stderr
    assert "extra `attacks`" in result.stderr.splitlines()[-1]
