"""The binary: one measurement as JSON, a contest as a table, quick refusals."""

import json
import os
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]


def call(*arguments, code=0):
    result = subprocess.run(
        [sys.executable, "-m", "benchmarks.fed_avg", *arguments],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert result.returncode == code, result.stderr
    return result


def test_one_measurement_is_the_last_line():
    result = call("--workload=W1", "--contestant=numpy", "--rounds=2", "--json")
    measured = json.loads(result.stdout.splitlines()[-1])
    assert list(measured) == [
        "workload",
        "sec_per_round",
        "startup_s",
        "peak_rss_mb",
        "final_loss",
    ]
    assert measured["workload"] == "W1"
    assert 0 < measured["sec_per_round"] < measured["startup_s"]
    assert 20 < measured["peak_rss_mb"] < 4096
    assert 0.2 < measured["final_loss"] < 0.7


def test_a_contest_ends_in_a_table_and_a_file(tmp_path):
    output = tmp_path / "benchmark.json"
    result = call(
        "--workload=W1", "--contestants=numpy", "--rounds=2", f"--output={output}"
    )
    assert "| numpy |" in result.stdout
    assert "W1 round 2 of 2: numpy" in result.stderr
    content = json.loads(output.read_text())
    assert [r["contestant"] for r in content["results"]] == ["numpy"]
    assert content["results"][0]["workload"] == "W1"
    assert content["cpus"] == os.cpu_count()


def test_a_contestant_that_fails_ends_the_contest(tmp_path):
    result = call(
        "--workload=W1",
        "--contestants=numpy",
        "--rounds=2",
        f"--data={tmp_path}",
        code=1,
    )
    assert "x.npy" in result.stderr
    assert "Contestant 'numpy' ended early" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--workload=W9"], "flag --workload: must be of W1, W2, W3, W4; got ['W9']"),
        (["--contestants=jax"], "flag --contestants: must be of"),
        (["--workload=W1,W2", "--json"], "--json measures one, got several"),
        (["--rounds=0"], "rounds"),
    ],
)
def test_wrong_flags_are_refused(arguments, message):
    assert message in call(*arguments, code=2).stderr
