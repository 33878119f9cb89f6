"""Results of attacks over seeds, and through a record."""

import dataclasses
import json

import pandas as pd
import pytest

from tests.evaluation.hand_made import make_record
from tff_finance.evaluation.attack_summary import summarize_attacks
from tff_finance.evaluation.summary import build_summary
from tff_finance.records.attack_rows import AttackRow
from tff_finance.records.run_record import RunRecord

CLAIM = {
    "delta": 1e-5,
    "unit": "record",
    "neighbouring": "add_or_remove_one",
    "accountant": "rdp",
}


def row(seed, value, **options):
    settings = {
        "attack": "membership",
        "method": "loss",
        "target": "standard",
        "protection": "none",
        "epsilon": None,
        "model": "global",
        "institution": "bank_a",
        "institutions": 3,
        "batch_size": 64,
        "hidden_units": 32,
        "metric": "auc",
        "low": 0.4,
        "high": 0.8,
        "trials": 100,
    }
    if options.get("epsilon") is not None:
        settings |= CLAIM
    return AttackRow(seed=seed, value=value, **(settings | options))


def test_values_are_summarized_over_seeds():
    rows = [row(1, 0.5), row(2, 0.7), row(1, 0.9, protection="record_dp", epsilon=8.0)]
    found = summarize_attacks(rows, [1, 2])
    assert set(found) == {"membership", "inversion", "canary"}
    plain, private = found["membership"]
    assert plain["mean"] == pytest.approx(0.6)
    assert plain["values"] == [0.5, 0.7]
    assert plain["ci95"][0] < 0.5
    assert plain["ci95"][1] > 0.7
    assert plain["within_seeds"] == [[0.4, 0.8]] * 2
    assert (private["protection"], private["epsilon"]) == ("record_dp", 8.0)
    assert {name: private[name] for name in CLAIM} == CLAIM
    assert (plain["delta"], plain["unit"]) == (None, "")
    assert private["ci95"] is None


def test_intervals_of_shares_end_where_shares_do():
    rows = [row(1, 0.9, metric="features_recovered"), row(1, 0.1, metric="advantage")]
    rows += [row(2, 1.0, metric="features_recovered"), row(2, 0.0, metric="advantage")]
    share, difference = summarize_attacks(rows, [1, 2])["membership"]
    assert share["ci95"][0] < 0.9
    assert share["ci95"][1] == 1
    assert difference["ci95"][0] < 0


def test_what_is_undefined_has_its_reason():
    undefined = row(1, None, low=None, high=None, reason="too few rows")
    [found] = summarize_attacks([undefined, row(2, 0.5)], [1, 2])["membership"]
    assert (found["mean"], found["reason"]) == (None, "too few rows")
    assert found["within_seeds"] == [None, [0.4, 0.8]]


def test_a_record_keeps_attacks_and_its_summary_has_them(tmp_path):
    rows = (
        row(3, 0.5),
        row(3, 0.5, protection="record_dp", epsilon=8.0),
        row(8, None, low=None, high=None, reason="too few rows"),
    )
    record = dataclasses.replace(make_record(), attacks=rows)
    record.write(tmp_path)
    assert RunRecord.read(tmp_path).attacks == rows
    assert "attacks" in build_summary(record)
    assert "attacks" not in build_summary(make_record())


def test_records_from_before_attacks_are_read(tmp_path):
    make_record().write(tmp_path)
    (tmp_path / "attacks.csv").unlink()
    header = json.loads((tmp_path / "run.json").read_text())
    del header["sha256"]["attacks.csv"]
    (tmp_path / "run.json").write_text(json.dumps(header))
    assert RunRecord.read(tmp_path).attacks == ()


def test_rows_from_before_claims_had_a_delta_are_read(tmp_path):
    private = row(3, 0.5, protection="record_dp", epsilon=8.0)
    dataclasses.replace(make_record(), attacks=(private,)).write(tmp_path)
    table = pd.read_csv(tmp_path / "attacks.csv")
    table.drop(columns=list(CLAIM)).to_csv(tmp_path / "attacks.csv", index=False)
    header = json.loads((tmp_path / "run.json").read_text())
    del header["sha256"]["attacks.csv"]
    (tmp_path / "run.json").write_text(json.dumps(header))
    unknown = dataclasses.replace(
        private, delta=None, unit="", neighbouring="", accountant=""
    )
    assert RunRecord.read(tmp_path).attacks == (unknown,)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"attack": "theft"}, "`attack` must be one of"),
        ({"protection": "prayer"}, "`protection` must be one of"),
    ],
)
def test_unknown_kinds_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        row(1, 0.5, **options)


@pytest.mark.parametrize(
    ("value", "message"), [(None, "`reason`"), (float("nan"), "finite or None")]
)
def test_values_that_are_none_are_refused(value, message):
    with pytest.raises(ValueError, match=message):
        row(1, value)
