"""Reading users' files: what counts as missing, and damage that is named."""

import gzip

import numpy as np
import pandas as pd
import pytest

from tff_finance.datasets.contract_file import contract_from_mapping
from tff_finance.datasets.csv_files import TableFileError
from tff_finance.datasets.faults import ContractError
from tff_finance.datasets.reading import (
    FileColumn,
    read_contract_table,
    read_parts,
    read_table,
)

COLUMNS = (FileColumn(name="a", kind="number"), FileColumn(name="b", kind="text"))
LONG = b"a,b\n" + b"".join(b"%d,x%d\n" % (i, i % 7) for i in range(50_000))


def read(tmp_path, name, data, **options):
    (tmp_path / name).write_bytes(data)
    return read_table(tmp_path / name, COLUMNS, **options)


def test_only_an_empty_cell_is_missing_and_codes_keep_zeros(tmp_path):
    table = read(tmp_path, "t.csv", b"\xef\xbb\xbfa,b,c\n1,01,x\n,NA,y\n3,,z\n")
    assert list(table.columns) == ["a", "b"]
    assert table["a"].dtype == float
    assert table["a"].isna().tolist() == [False, True, False]
    assert table["b"].astype(object).tolist()[:2] == ["01", "NA"]
    assert table["b"].isna().tolist() == [False, False, True]


@pytest.mark.parametrize("word", ["NA", "nan", " ", "1,5"])
def test_what_is_no_number_stays_text(tmp_path, word):
    table = read(tmp_path, "t.csv", f"a;b\n1;x\n{word};y\n".encode())
    assert table["a"].tolist() == [1.0, word]


def test_decimal_comma_is_said(tmp_path):
    data = b"a;b\n1,5;x\n2;y\n"
    table = read(tmp_path, "t.csv", data, decimal=",")
    assert table["a"].tolist() == [1.5, 2.0]
    points = read(tmp_path, "p.csv", b"a;b\n1.5;x\n2,5;y\n", decimal=",")
    assert points["a"].tolist() == ["1.5", 2.5]


@pytest.mark.parametrize("ending", [".csv", ".csv.gz", ".tsv", ".parquet"])
def test_endings_agree(tmp_path, ending):
    frame = pd.DataFrame({"a": [1.0, None, 3.5], "b": ["01", np.nan, "x\ny"]})
    path = tmp_path / f"t{ending}"
    if ending == ".parquet":
        frame.to_parquet(path)
    else:
        frame.to_csv(path, index=False, sep="\t" if "tsv" in ending else ",")
    table = read_table(path, COLUMNS)
    pd.testing.assert_frame_equal(
        table.astype({"b": object}), frame, check_categorical=False
    )


@pytest.mark.parametrize(
    ("name", "data", "fault"),
    [
        ("t.csv", b"", "is empty"),
        ("t.csv", b"a,b\n", "has no rows"),
        ("t.csv", b"a,a,b\n1,2,3\n", "more than one column a"),
        ("t.csv", b"a,b\n1,x\n2\n", "Row #3: Expected 2 columns, got 1"),
        ("t.csv", b"a,b\n1,\xe9\n", "is not UTF-8"),
        ("t.csv", LONG + b"1,\xe9\n", "is not UTF-8"),
        ("t.csv", "a,b\n1,2\n".encode("utf-16"), "is UTF-16"),
        ("t.csv", b"a;b,c\n1;2,3\n", "may be separated by any of"),
        ("t.csv.gz", LONG, "can't be read"),
        ("t.csv.gz", gzip.compress(LONG, mtime=0)[:-4], "can't be read"),
        ("t.csv.gz", gzip.compress(LONG, mtime=0)[:9000], "can't be read"),
        ("t.csv.gz", gzip.compress(LONG, mtime=0) + b"garbage", "can't be read"),
        ("t.parquet", b"PAR1", "can't be read as Parquet"),
        ("t.xlsx", b"", "must end in one of"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path, name, data, fault):
    with pytest.raises(TableFileError, match=fault) as raised:
        read(tmp_path, name, data)
    assert str(tmp_path / name) in str(raised.value)


def test_missing_file_is_named(tmp_path):
    with pytest.raises(TableFileError, match=r"nowhere\.csv"):
        read_table(tmp_path / "nowhere.csv", COLUMNS)


CONTRACT = contract_from_mapping(
    {
        "name": "tiny",
        "label": {"column": "y", "meaning": "", "positive": "yes", "negative": "no"},
        "columns": [
            {
                "name": "limit",
                "kind": "numeric",
                "unit": "EUR",
                "description": "",
                "minimum": 0,
                "maximum": 1000,
                "missing": "indicator",
                "missing_values": [-1, "NA"],
            },
            {
                "name": "sex",
                "kind": "categorical",
                "description": "",
                "categories": ["1", "2"],
                "missing": "category",
                "use": "audit",
            },
        ],
        "institutions": {
            "b": {
                "rename": {"limite": "limit"},
                "factor": {"limit": 0.5},
                "codes": {"sex": {"M": "1", "F": "2"}, "y": {"0": "no", "1": "yes"}},
                "file": {"separator": ";", "decimal": ","},
            }
        },
    },
    source="test",
)


def test_formats_lead_to_one_table(tmp_path):
    (tmp_path / "a.csv").write_text("y,limit,sex\nyes,10.5,1\nno,NA,\nno,-1,2\n")
    (tmp_path / "b.csv").write_text("y;limite;sex\n1;21,0;M\n0;-1;\n0;NA;F\n")
    a = read_contract_table(tmp_path / "a.csv", CONTRACT, institution="a")
    b = read_contract_table(tmp_path / "b.csv", CONTRACT, institution="b")
    pd.testing.assert_frame_equal(a, b)
    assert list(a.columns) == ["limit", "y", "sex"]
    assert a["y"].tolist() == [1, 0, 0]
    assert a["limit"].isna().tolist() == [False, True, True]
    assert a["sex"].tolist() == ["1", "missing", "2"]
    assert [c.name for c in CONTRACT.features] == ["limit"]


def test_faults_of_a_file_name_file_and_row(tmp_path):
    path = tmp_path / "b.csv"
    path.write_text("y;Limite;sex\n1;1;M\n2;1;X\n")
    with pytest.raises(ContractError) as raised:
        read_contract_table(path, CONTRACT, institution="b")
    assert str(path) in str(raised.value)
    assert set(raised.value.faults) == {
        "column 'limite': is not in the table, but is to be renamed to 'limit'; "
        "did you mean 'Limite'?",
        "column 'sex': must be a code that its format maps, M, F; 1 row is not, "
        "for example 'X' in row 2",
        "column 'y': must be a code that its format maps, 0, 1; 1 row is not, "
        "for example '2' in row 2",
    }


@pytest.mark.parametrize("ending", [".csv", ".csv.gz", ".tsv", ".parquet"])
@pytest.mark.parametrize("rows", [1, 7, 1000])
def test_parts_are_the_whole(tmp_path, ending, rows):
    frame = pd.DataFrame(
        {
            "a": [i / 7 if i % 5 else None for i in range(50)],
            "b": [f"{i % 3:02d}" if i % 7 else None for i in range(50)],
            "c": "left out",
        }
    )
    path = tmp_path / f"t{ending}"
    if ending == ".parquet":
        frame.to_parquet(path)
    else:
        frame.to_csv(path, index=False, sep="\t" if "tsv" in ending else ",")
    parts = list(read_parts(path, COLUMNS, rows=rows))
    assert [len(part) for part in parts[:-1]] == [rows] * (len(parts) - 1)
    whole = read_table(path, COLUMNS).astype({"b": object})
    joined = pd.concat([part.astype({"b": object}) for part in parts])
    pd.testing.assert_frame_equal(joined.reset_index(drop=True), whole)


def test_parts_go_across_what_arrow_reads_at_once(tmp_path):
    data = b"a,b\n" + b"".join(b'%d,"x\n%d"\n' % (i, i % 7) for i in range(200_000))
    (tmp_path / "t.csv").write_bytes(data)
    parts = list(read_parts(tmp_path / "t.csv", COLUMNS, rows=65_536))
    assert [len(part) for part in parts] == [65_536, 65_536, 65_536, 3392]
    assert np.concatenate([p["a"] for p in parts]).tolist() == list(range(200_000))
    assert parts[3]["b"].iloc[-1] == f"x\n{199_999 % 7}"


def test_what_is_no_number_stays_text_in_its_part(tmp_path):
    (tmp_path / "t.csv").write_text("a;b\n1,5;x\nnan;y\n2;z\n3;z\n")
    parts = list(read_parts(tmp_path / "t.csv", COLUMNS, decimal=",", rows=2))
    assert [value for part in parts for value in part["a"]] == [1.5, "nan", 2.0, 3.0]


@pytest.mark.parametrize(
    ("name", "data", "fault"),
    [
        ("t.csv", b"a,b\n", "has no rows"),
        ("t.csv", LONG + b"1\n", "Row #50002: Expected 2 columns, got 1"),
        ("t.csv", LONG + b"1,\xe9\n", "is not UTF-8"),
        ("t.csv.gz", gzip.compress(LONG, mtime=0)[:9000], "can't be read"),
        ("t.csv.gz", gzip.compress(LONG, mtime=0) + b"garbage", "can't be read"),
        ("t.parquet", b"PAR1", "can't be read as Parquet"),
    ],
)
def test_damage_shows_in_parts_too(tmp_path, name, data, fault):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(TableFileError, match=fault) as raised:
        list(read_parts(tmp_path / name, COLUMNS))
    assert str(tmp_path / name) in str(raised.value)
