"""The public tables as they are, against the figures that their sources give."""

import gzip
import hashlib
import pathlib
import zipfile

import pandas as pd
import pytest

from tff_finance.datasets import public
from tff_finance.datasets.public_file import PublicFileError
from tff_finance.datasets.tables import bank_marketing, taiwan
from tff_finance.datasets.tables.handbook import payments_table

SIZES = {
    "taiwan": (30_000, 25, 6_636),
    "sba": (2_102, 35, 686),
    "bank_marketing": (41_188, 21, 4_640),
    "handbook_features": (201_295, 23, 1_792),
    "german": (1_000, 21, 300),
    "ulb": (9_825, 31, 492),
}
# What a contract neither takes nor forbids: of no use, or for partitions and metrics.
LEFT_OUT = {
    "sba": {"Bank", "BankState", "City", "State", "New", "FranchiseCode"},
    "handbook_features": {"TX_DATETIME", "TX_TIME_SECONDS"},
}


@pytest.fixture(scope="module")
def tables(public_data):
    return {name: public.load(name, public_data) for name in SIZES}


@pytest.mark.parametrize("name", SIZES)
def test_table_has_the_published_size_and_keeps_its_contract(tables, name):
    table = tables[name]
    contract = public.contract(name)
    valid = contract.validate(table, institution="all")
    positives = valid[contract.label].sum()
    assert (*table.shape, positives) == SIZES[name]
    assert set(contract.forbidden) <= set(table)
    named = {column.name for column in contract.columns} | {contract.label}
    left_out = set(table) - named - set(contract.forbidden)
    assert left_out == LEFT_OUT.get(name, set())


def test_taiwan_is_the_same_from_every_edition(tables, public_data, tmp_path):
    packed = public_data / "default_credit" / "UCI_Credit_Card.csv.gz"
    (tmp_path / "UCI_Credit_Card.csv").write_bytes(gzip.decompress(packed.read_bytes()))
    from_csv = public.load("taiwan", tmp_path)
    pd.testing.assert_frame_equal(from_csv, tables["taiwan"], check_exact=True)
    assert from_csv["LIMIT_BAL"].mean() == pytest.approx(167_484.32, abs=0.005)
    assert from_csv["AGE"].mean() == pytest.approx(35.4855)
    assert from_csv[taiwan.LABEL].sum() == 6_636


def test_sba_is_the_same_with_other_line_ends(tables, public_data, tmp_path):
    path = public_data / "sba_case" / "SBAcase.11.13.17.csv"
    windows = path.read_bytes().replace(b"\n", b"\r\n")
    (tmp_path / "SBAcase.11.13.17.csv").write_bytes(windows)
    from_windows = public.load("sba", tmp_path)
    pd.testing.assert_frame_equal(from_windows, tables["sba"], check_exact=True)


def test_sba_columns_that_leak_are_what_the_contract_says(tables):
    """Each forbidden column is computed from the outcome or from the term."""
    sba = tables["sba"]
    default = sba["Default"] == 1
    assert ((sba["MIS_Status"] == "CHGOFF") == default).all()
    assert (sba["daysterm"] == 30 * sba["Term"]).all()
    assert ((sba["RealEstate"] == 1) == (sba["Term"] >= 240)).all()
    end = sba["DisbursementDate"] + sba["daysterm"]
    pd.testing.assert_series_equal(sba["xx"], end, check_names=False)
    forbidden = public.contract("sba").forbidden
    assert {
        "MIS_Status",
        "ChgOffDate",
        "ChgOffPrinGr",
        "Term",
        "daysterm",
        "xx",
        "Recession",
        "RealEstate",
    } <= set(forbidden)


def test_call_duration_is_forbidden_and_never_called_is_missing(tables):
    contract = public.contract("bank_marketing")
    assert "duration" in contract.forbidden
    raw = tables["bank_marketing"]
    valid = contract.validate(raw, institution="all")
    assert "duration" not in valid
    assert (valid["pdays"].isna() == (raw["pdays"] == 999)).all()
    assert valid["pdays"].max() == 27


def test_taiwan_protected_attributes_are_flagged():
    columns = public.contract("taiwan").columns
    assert {c.name for c in columns if c.protected} == {"SEX", "MARRIAGE", "AGE"}


def test_inner_files_of_the_archives_do_as_well(tables, public_data, tmp_path):
    outer = public_data / "bank_marketing" / "bank+marketing.zip"
    first, *inner = bank_marketing.BANK_MARKETING.editions
    assert hashlib.sha256(outer.read_bytes()).hexdigest() == first.files[0].sha256
    with zipfile.ZipFile(outer) as archive:
        archive.extract("bank-additional.zip", tmp_path)
    with zipfile.ZipFile(tmp_path / "bank-additional.zip") as archive:
        member = archive.read("bank-additional/bank-additional-full.csv")
    found = bank_marketing.BANK_MARKETING.find(tmp_path)
    assert found is not None
    assert found.edition is inner[0]
    pd.testing.assert_frame_equal(found.read(), tables["bank_marketing"])
    (tmp_path / "bank-additional.zip").unlink()
    (tmp_path / "any_name.csv").write_bytes(member)
    found = bank_marketing.BANK_MARKETING.find(tmp_path)
    assert found is not None
    assert found.edition is inner[1]
    pd.testing.assert_frame_equal(found.read(), tables["bank_marketing"])


def test_payments_of_single_months_can_be_read(public_data):
    april = payments_table(["2018-04"]).fetch(public_data).read()
    assert len(april) == 288_062
    assert april["TX_FRAUD"].sum() == 1_702
    assert april["TX_DATETIME"].dt.month.eq(4).all()


@pytest.mark.parametrize("months", [[], ["2018-10"], ["2018-04", "april"]])
def test_unknown_months_are_refused(months):
    with pytest.raises(ValueError, match="2018-04"):
        payments_table(months)


def test_payments_are_never_downloaded(tmp_path):
    """No checksum of the publisher's pickles is known."""
    with pytest.raises(PublicFileError, match=r"data/handbook_fraud\.md"):
        public.load("handbook_fraud", tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", public.TABLES)
def test_table_has_a_contract_and_a_page(name):
    table = public.TABLES[name]
    contract = public.contract(name)
    assert contract.name == table.contract
    page = pathlib.Path(__file__).parents[2] / "data" / f"{table.contract}.md"
    text = page.read_text()
    for edition in table.editions:
        for file in edition.files:
            assert file.sha256 in text
            assert file.name in text
            if file.remote is not None:
                assert file.remote.address in text


def test_unknown_table_is_refused_with_the_known_ones(tmp_path):
    with pytest.raises(ValueError, match="taiwan"):
        public.load("taiwann", tmp_path)
    with pytest.raises(ValueError, match="taiwan"):
        public.contract("taiwann")
