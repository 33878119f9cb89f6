"""Atomic files: the old content or the new, never a part, and nothing left over."""

import json
import math
import os
import pathlib
import stat

import pandas as pd
import pytest

from tff_finance.records import files


def names_in(directory):
    return sorted(path.name for path in directory.iterdir())


def test_failure_in_the_middle_leaves_the_old_file_alone(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("old")

    def fail(temporary):
        temporary.write_text("ha")
        raise RuntimeError("disk full")

    with pytest.raises(RuntimeError, match="disk full"):
        files.write_atomically(path, fail)
    assert path.read_text() == "old"
    assert names_in(tmp_path) == ["table.csv"]


def test_reader_never_sees_a_part(tmp_path):
    path = tmp_path / "deep" / "er" / "table.csv"

    def write(temporary):
        assert temporary.parent == path.parent  # else the rename is a copy
        assert temporary.suffix == ".csv"  # pandas compresses by it
        assert not path.exists()
        temporary.write_text("new")

    files.write_atomically(path, write)
    assert path.read_text() == "new"
    files.write_atomically(path, lambda temporary: temporary.write_text("newer"))
    assert path.read_text() == "newer"
    assert names_in(path.parent) == ["table.csv"]


@pytest.mark.parametrize(("mask", "expected"), [(0o022, 0o644), (0o077, 0o600)])
def test_files_have_the_usual_permissions(tmp_path, mask, expected):
    before = os.umask(mask)
    try:
        files.write_json(tmp_path / "a.json", {})
        assert os.umask(mask) == mask
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a.json").stat().st_mode) == expected


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_json_refuses_what_is_no_json(tmp_path, value):
    path = tmp_path / "a.json"
    files.write_json(path, {"a": 1})
    with pytest.raises(ValueError, match="not JSON compliant"):
        files.write_json(path, {"a": {"b": [value]}})
    assert files.read_json(path) == {"a": 1}
    assert names_in(tmp_path) == ["a.json"]


def test_json_round_trip(tmp_path):
    content = {"größe": [1, 2.5, None, "ö"], "digits": 0.1 + 0.2}
    files.write_json(tmp_path / "a.json", content)
    assert files.read_json(tmp_path / "a.json") == content
    text = (tmp_path / "a.json").read_bytes()
    assert text.endswith(b"}\n")
    assert json.loads(text.decode("utf-8")) == content


@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz"])
def test_csv_keeps_every_digit(tmp_path, name):
    values = [0.1 + 0.2, 1e-300, -1.7976931348623157e308, 123456789.123456789, 5e-324]
    table = pd.DataFrame({"value": values, "count": [1, 2, 3, 4, 2**62]})
    files.write_csv(tmp_path / name, table)
    pd.testing.assert_frame_equal(
        files.read_csv(tmp_path / name), table, check_exact=True
    )
    compressed = (tmp_path / name).read_bytes()[:2] == b"\x1f\x8b"
    assert compressed == name.endswith(".gz")


def test_text_columns_are_taken_as_they_stand(tmp_path):
    text = ["NA", "None", "007", "", "1.50", "true", "a,b", 'a "quoted" one']
    table = pd.DataFrame({"name": text, "value": [1.0, None, *range(6)]})
    files.write_csv(tmp_path / "t.csv", table)
    pd.testing.assert_frame_equal(
        files.read_csv(tmp_path / "t.csv", text_columns=["name"]),
        table,
        check_exact=True,
    )


def test_writable_folder_is_made_and_left_empty(tmp_path):
    directory = tmp_path / "a" / "b"
    files.check_writable(directory)
    files.check_writable(directory)
    assert names_in(directory) == []


@pytest.mark.parametrize("below", [".", "results"])
def test_a_file_in_the_way_is_no_folder(tmp_path, below):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"):
        files.check_writable(pathlib.Path(tmp_path / "file" / below))
