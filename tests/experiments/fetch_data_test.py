"""The binary says what it found, and in one line what it didn't."""

import pytest

from tests.experiments.quick_call import quick_call


def fetch_data(*flags):
    return quick_call("experiments.fetch_data", *flags)


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
