"""The binary says what it found, and in one line what it didn't."""

import os
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]


def fetch_data(*flags):
    return subprocess.run(
        [sys.executable, "-m", "experiments.fetch_data", *flags],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_it_prints_files_and_sizes(public_data):
    result = fetch_data("--dataset=sba", f"--data_dir={public_data}")
    assert (result.returncode, result.stderr) == (0, "")
    path = public_data / "sba_case" / "SBAcase.11.13.17.csv"
    assert f"  {path}: the article's table" in result.stdout
    assert "2,102 rows, 35 columns" in result.stdout
    assert "686 (32.64%)" in result.stdout


@pytest.mark.parametrize(
    ("flags", "code", "named"),
    [
        (["--dataset=handbook_fraud", "--data_dir={}/a"], 1, "data/handbook_fraud.md"),
        (["--dataset=sba", "--data_dir="], 2, "--data_dir"),
        (["--dataset=sba"], 2, "--data_dir"),
        (["--dataset=iris", "--data_dir={}"], 2, "taiwan|sba|"),
    ],
)
def test_failure_is_one_line(tmp_path, flags, code, named):
    result = fetch_data(*(flag.format(tmp_path) for flag in flags))
    assert (result.returncode, result.stdout) == (code, "")
    assert result.stderr.count("\n") == 1
    assert named in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_it_knows_all_tables():
    from tff_finance.datasets import public

    named = "|".join(public.TABLES)
    assert f"<{named}>" in fetch_data("--dataset=none", "--data_dir=x").stderr
