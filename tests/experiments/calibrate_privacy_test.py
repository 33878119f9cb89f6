"""The binary computes both ways, says what it assumes, and refuses in one line."""

import os
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]


def calibrate(*flags):
    return subprocess.run(
        [sys.executable, "-m", "experiments.calibrate_privacy", *flags],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def printed(result):
    assert (result.returncode, result.stderr) == (0, "")
    lines = result.stdout.partition("Assumed:")[0].splitlines()
    return dict(line.split() for line in lines)


SETTING = ("--population=10000", "--batch_size=256", "--rounds=100")


def test_noise_of_a_target_gives_the_target():
    result = calibrate("--epsilon=8", *SETTING)
    found = printed(result)
    assert found["delta"] == "1e-05"
    assert (found["unit"], found["neighbouring"]) == ("record", "add_or_remove_one")
    assert "probability 0.0256, by itself; 4000 steps" in result.stdout
    assert (
        "preprocessing, validation, tuning and evaluation release nothing"
        in result.stdout
    )
    back = printed(
        calibrate(f"--noise_multiplier={found['noise_multiplier']}", *SETTING)
    )
    assert float(back["epsilon"]) == pytest.approx(8, rel=1e-3)


@pytest.mark.parametrize(
    ("sampling", "relation", "accountant"),
    [("fixed", "replace_one", "rdp"), ("all", "add_or_remove_one", "pld")],
)
def test_other_samplings_have_their_relation(sampling, relation, accountant):
    found = printed(
        calibrate(
            "--noise_multiplier=20",
            f"--sampling={sampling}",
            "--unit=institution",
            "--population=3000",
            "--batch_size=300",
            "--rounds=10",
        )
    )
    assert (found["neighbouring"], found["accountant"]) == (relation, accountant)
    assert found["unit"] == "institution"


@pytest.mark.parametrize(
    ("flags", "named"),
    [
        ((), "--population"),
        (SETTING, "give one of them"),
        ((*SETTING, "--epsilon=1", "--noise_multiplier=1"), "give one of them"),
        ((*SETTING, "--epsilon=-1"), "`epsilon` must be positive"),
        ((*SETTING, "--epsilon=1", "--rounds=0"), "`rounds` must be at least 1"),
        (
            (*SETTING, "--noise_multiplier=1", "--sampling=fixed", "--accountant=pld"),
            "'pld'",
        ),
    ],
)
def test_a_wrong_call_is_one_line(flags, named):
    result = calibrate(*flags)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.count("\n") == 1
    assert named in result.stderr
