"""Contract files: the documented example, round trips, and every fault at once."""

import json
import pathlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tff_finance.datasets.columns import CategoricalColumn, NumericColumn
from tff_finance.datasets.contract import Contract
from tff_finance.datasets.contract_file import (
    ContractFileError,
    contract_from_mapping,
    contract_to_mapping,
    load_contract,
)
from tff_finance.datasets.credit_contract import CREDIT_CONTRACT

DOCS = pathlib.Path(__file__).parents[2] / "docs" / "contracts.md"


def documented():
    return DOCS.read_text().split("```toml\n")[1].split("```")[0]


def load(tmp_path, text):
    path = tmp_path / "contract.toml"
    path.write_text(text)
    return load_contract(path)


def faults(tmp_path, text):
    with pytest.raises(ContractFileError) as raised:
        load(tmp_path, text)
    assert str(tmp_path / "contract.toml") in str(raised.value)
    return raised.value.faults


def test_documented_example(tmp_path):
    contract = load(tmp_path, documented())
    limit, sex = contract.columns
    assert limit.transform == "signed_log1p"
    assert limit.missing_values == (-1, "n/a")
    assert sex.levels == ("1", "2", "missing")
    assert contract.audit_columns == (sex,)
    assert contract.features == contract.numeric_columns == (limit,)
    assert contract.forbidden == {"duration": "known only after the call"}
    assert contract.format_of("bank_b").codes == {"SEX": {"M": "1", "F": "2"}}
    assert contract.format_of("bank_b").decimal == ","
    content = json.loads(json.dumps(contract_to_mapping(contract)))
    assert contract_from_mapping(content, source="") == contract
    assert hash(contract) == hash(contract_from_mapping(content, source=""))


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("unit =", "unti =", "columns[1] 'LIMIT_BAL'.unti: unknown key; did you mean "),
        ("maximum = 1e7", 'maximum = "x"', "maximum: expected a number, got 'x'"),
        ("maximum = 1e7", "maximum = -1", "`minimum` of column 'LIMIT_BAL' must not"),
        ("maximum = 1e7", "maximum = inf", "must be finite"),
        ('"indicator"', '"category"', "expected 'refuse' or 'indicator', got"),
        ('"categorical"', '"code"', "expected 'numeric' or 'categorical', got 'code'"),
        ('["1", "2"]', "[1]", "categories[1]: expected a text, got 1"),
        ('positive = "yes"', "positive = 1", "must be two integers or two texts"),
        ('positive = "yes"', 'positive = "no"', "must differ"),
        ('M = "1"', 'M = "3"', "'M' of 'SEX' must become one of 1, 2, missing"),
        ("LIMIT_BAL = 0.03", "SEX = 0.03", "'SEX' has codes"),
        ("LIMIT_BAL = 0.03", "LIMIT_BAL = -1", "must be positive"),
        ("LIMIT_BAL = 0.03", "LIMITBAL = 1", "did you mean 'LIMIT_BAL'?"),
        ('limite = "LIMIT_BAL"', 'limite = "x"', "the contract has no column 'x'"),
        ('limite = "LIMIT_BAL"', 'duration = "LIMIT_BAL"', "is forbidden"),
        ('name = "duration"', 'name = "SEX"', "names 'SEX', which is forbidden"),
        ('separator = ";"', 'separator = ","', "not the separator"),
        ("codes.SEX", "codes.LIMIT_BAL", "'LIMIT_BAL' is numeric"),
        ('name = "card', 'nam = "card', "nam: unknown key; did you mean 'name'?"),
        ("[label]", "[label", "is no TOML"),
    ],
)
def test_each_fault_is_named(tmp_path, old, new, fault):
    assert any(fault in f for f in faults(tmp_path, documented().replace(old, new, 1)))


def test_all_faults_come_at_once(tmp_path):
    text = documented().replace("unit =", "unti =").replace("[label]", "[lable]")
    assert len(faults(tmp_path, text)) == 4


def test_python_contract_survives():
    content = contract_to_mapping(CREDIT_CONTRACT)
    assert contract_from_mapping(content, source="") == CREDIT_CONTRACT


NAMES = st.text(min_size=1, max_size=8)


@given(
    names=st.lists(NAMES, min_size=3, max_size=3, unique=True),
    limits=st.tuples(st.floats(-1e9, 0), st.floats(0, 1e9)),
    categories=st.lists(NAMES, min_size=1, unique=True),
    allow_missing=st.booleans(),
)
def test_any_contract_survives(names, limits, categories, allow_missing):
    categories = [c for c in categories if c != "missing"] or ["x"]
    contract = Contract(
        name="any",
        label=names[2],
        label_meaning="",
        columns=(
            NumericColumn(
                name=names[0],
                unit="",
                description="",
                minimum=limits[0],
                maximum=limits[1],
                allow_missing=allow_missing,
            ),
            CategoricalColumn(
                name=names[1],
                description="",
                categories=tuple(categories),
                allow_missing=allow_missing,
            ),
        ),
    )
    content = json.loads(json.dumps(contract_to_mapping(contract)))
    assert contract_from_mapping(content, source="") == contract
