"""Columns that no model sees."""

from tff_finance.datasets.contract import Contract, NumericColumn
from tff_finance.datasets.institution_format import InstitutionFormat
from tff_finance.datasets.left_out import columns_left_out

CONTRACT = Contract(
    name="c",
    columns=(NumericColumn(name="x", unit="1", description="d", minimum=0, maximum=9),),
    label="bad",
    label_meaning="it went badly",
    forbidden={"duration": "known only after the call"},
    formats={"b": InstitutionFormat(rename={"y": "x"})},
)


def test_forbidden_and_unlisted_columns_are_told_apart():
    found = columns_left_out(
        CONTRACT, ["duration", "x", "z", "bad", "y"], institution="a"
    )
    assert found.forbidden == ("duration",)
    assert found.unlisted == ("z", "y")


def test_a_renamed_column_is_used():
    found = columns_left_out(CONTRACT, ["y", "bad"], institution="b")
    assert (found.forbidden, found.unlisted) == ((), ())
