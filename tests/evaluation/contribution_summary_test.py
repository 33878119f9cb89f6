"""Contributions in `summary.json`, from values that can be checked by hand."""

import dataclasses
import json

import numpy as np
import pytest

from tests.evaluation.hand_made import BANKS, SEEDS, make_record, with_test_rows
from tff_finance.evaluation.intervals import t_interval
from tff_finance.evaluation.summary import build_summary
from tff_finance.records.coalition_row import CoalitionRow
from tff_finance.records.run_rows import BootstrapRow

BOTH = "bank_a/bank_b"
AUC = {BOTH: 0.9, "bank_a": 0.7, "bank_b": 0.6}


def auc(seed, members, institution):
    """Not the same for every seed or for all test rows."""
    later = 0.01 * SEEDS.index(seed) ** 2 * len(members)
    return AUC[members] + later / 10 - 0.02 * (institution == "bank_b")


def coalition_rows(seeds=SEEDS, coalitions=tuple(AUC), **options):
    for seed in seeds:
        for members in coalitions:
            for institution in ("", *BANKS):
                row = CoalitionRow(
                    seed=seed,
                    method="fed_avg",
                    members=members,
                    scope="own" if institution else "pooled",
                    institution=institution,
                    metric="auc",
                    value=auc(seed, members, institution),
                    reason="",
                    rounds=9,
                    stopped_by="max_rounds" if members == BOTH else "patience",
                    seconds=0.5,
                )
                yield dataclasses.replace(row, **options)


def with_contributions(record=None, **options):
    record = record or make_record()
    return dataclasses.replace(record, coalitions=tuple(coalition_rows(**options)))


def summary_of(record):
    summary = build_summary(record)
    assert json.loads(json.dumps(summary, allow_nan=False)) == summary
    return summary["contribution"]


def test_time_that_is_up_is_a_maximum_too():
    """As in the summary of methods."""
    rows = with_contributions(stopped_by="max_simulated_seconds")
    found = summary_of(rows)
    assert found["runs"] == found["runs_stopped_at_maximum"] == 9


def test_by_hand():
    found = summary_of(with_contributions())
    assert found["method"] == "fed_avg"
    assert found["metric"] == "auc"
    assert found["empty_coalition"] == 0.5
    assert (found["runs"], found["runs_stopped_at_maximum"]) == (9, 3)
    assert list(found["coalitions"]) == list(AUC)

    seed, values = SEEDS[0], AUC
    both, a, b = values[BOTH], values["bank_a"], values["bank_b"]
    shares = found["shapley"]["pooled"]
    first = {bank: shares[bank]["values"][0] for bank in BANKS}
    assert SEEDS.index(seed) == 0
    assert first == pytest.approx(
        {
            "bank_a": ((a - 0.5) + (both - b)) / 2,  # 0.25
            "bank_b": ((b - 0.5) + (both - a)) / 2,  # 0.15
        }
    )
    left_out = found["leave_one_out"]["pooled"]
    assert left_out["bank_a"]["values"][0] == pytest.approx(both - b)
    assert left_out["bank_b"]["values"][0] == pytest.approx(both - a)


def test_own_rows_have_their_own_contributions():
    found = summary_of(with_contributions())
    for kind in ("shapley", "leave_one_out"):
        pooled, own = found[kind]["pooled"], found[kind]["own"]
        assert list(own) == list(BANKS)
        for bank in BANKS:
            assert own["bank_a"][bank] == pooled[bank]
    low = 0.02 / 2  # the values of all coalitions are 0.02 lower there, nobody's isn't
    for bank in BANKS:
        np.testing.assert_allclose(
            found["shapley"]["own"]["bank_b"][bank]["values"],
            np.array(found["shapley"]["pooled"][bank]["values"]) - low,
        )


def test_shapley_values_add_up_under_every_seed():
    found = summary_of(with_contributions())
    for scope, value in (
        (found["shapley"]["pooled"], found["coalitions"][BOTH]["pooled"]),
        (found["shapley"]["own"]["bank_b"], found["coalitions"][BOTH]["own"]["bank_b"]),
    ):
        total = np.sum([scope[bank]["values"] for bank in BANKS], axis=0)
        np.testing.assert_allclose(total, np.array(value["values"]) - 0.5)
        assert sum(scope[bank]["mean"] for bank in BANKS) == pytest.approx(
            value["mean"] - 0.5
        )


def test_intervals_of_synthetic_data_are_over_seeds():
    for values in summary_of(with_contributions())["shapley"]["pooled"].values():
        assert values["ci95"] == pytest.approx(list(t_interval(values["values"])))
    one = summary_of(with_contributions(make_record(seeds=(3,)), seeds=(3,)))
    assert one["shapley"]["pooled"]["bank_a"]["ci95"] is None
    assert one["shapley"]["pooled"]["bank_a"]["reason"] == "one seed gives no interval"


def test_real_tables_have_the_spread_over_seeds_and_no_interval():
    record = with_contributions()
    bootstrap = BootstrapRow(
        seed=3,
        method="fed_avg",
        reference="",
        scope="pooled",
        institution="",
        metric="auc",
        value=0.5,
        low=0.4,
        high=0.6,
        reason="",
        rows=100,
        positives=40,
        units=100,
        resamples=100,
    )
    found = summary_of(dataclasses.replace(record, bootstraps=(bootstrap,)))
    value = found["shapley"]["pooled"]["bank_a"]
    assert value["ci95"] is None
    assert "no interval over test rows" in value["reason"]
    assert value["over_seeds"]["sd"] == pytest.approx(np.std(value["values"], ddof=1))


def test_few_test_rows_have_no_interval():
    record = with_test_rows(
        with_contributions(), "bank_a", 3, test_rows=20, test_positives=4
    )
    found = summary_of(record)
    assert found["shapley"]["own"]["bank_a"]["bank_b"]["ci95"] is None
    assert "20, 4 positive" in found["shapley"]["own"]["bank_a"]["bank_b"]["reason"]
    assert found["shapley"]["own"]["bank_b"]["bank_a"]["ci95"] is not None


def test_undefined_values_say_why():
    record = with_contributions()
    reason = "All 3 rows are negative."
    rows = tuple(
        dataclasses.replace(row, value=None, reason=reason)
        if row.institution == "bank_a"
        else row
        for row in record.coalitions
    )
    found = summary_of(dataclasses.replace(record, coalitions=rows))
    for value in (
        found["coalitions"]["bank_b"]["own"]["bank_a"],
        *found["shapley"]["own"]["bank_a"].values(),
        *found["leave_one_out"]["own"]["bank_a"].values(),
    ):
        assert (value["mean"], value["reason"]) == (None, reason)
    assert found["shapley"]["own"]["bank_b"]["bank_a"]["mean"] is not None


def test_without_all_coalitions_there_are_no_shapley_values():
    record = make_record()
    third = dataclasses.replace(record.institutions[0], institution="bank_c")
    names = ("bank_a/bank_b/bank_c", "bank_a/bank_b", "bank_a/bank_c", "bank_b/bank_c")
    template = next(iter(coalition_rows()))
    coalitions = tuple(
        dataclasses.replace(
            template,
            seed=seed,
            members=members,
            scope="own" if whose else "pooled",
            institution=whose,
            value=0.6 + 0.01 * number,
        )
        for seed in SEEDS
        for number, members in enumerate(names)
        for whose in ("", *BANKS, "bank_c")
    )
    three = dataclasses.replace(
        record,
        institutions=(
            *record.institutions,
            *(dataclasses.replace(third, seed=seed) for seed in SEEDS),
        ),
        coalitions=coalitions,
        config=record.config | {"methods": []},
    )
    found = summary_of(three)
    assert found["shapley"] is None
    means = {k: v["mean"] for k, v in found["leave_one_out"]["pooled"].items()}
    assert means == pytest.approx({"bank_a": -0.03, "bank_b": -0.02, "bank_c": -0.01})


@pytest.mark.parametrize(
    ("options", "match"),
    [({"value": None}, "`reason`"), ({"value": float("nan")}, "`value`")],
)
def test_a_row_needs_a_value_or_a_reason(options, match):
    row = next(iter(coalition_rows()))
    with pytest.raises(ValueError, match=match):
        dataclasses.replace(row, **options)
