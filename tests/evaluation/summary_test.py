"""summary.json: DESIGN.md's keys and shapes, and every number by hand."""

import dataclasses
import json

import numpy as np
import pytest
import scipy.stats

from tests.evaluation.hand_made import (
    BANKS,
    METHODS,
    METRICS,
    SEEDS,
    accuracy,
    make_record,
    undefine,
    with_test_rows,
)
from tff_finance.evaluation.intervals import t_interval
from tff_finance.evaluation.summary import build_summary
from tff_finance.records.run_record import DIFFERENT_TARGETS
from tff_finance.records.run_rows import InstitutionRow


@pytest.fixture(scope="module")
def summary():
    return build_summary(make_record())


def assert_value(actual, values, *, added=()):
    assert actual["values"] == pytest.approx(values, abs=1e-12)
    assert actual["mean"] == pytest.approx(np.mean(values), abs=1e-12)
    assert actual["ci95"] == pytest.approx(list(t_interval(values)), abs=1e-12)
    assert set(actual) == {"mean", "ci95", "values", *added}


def test_keys_are_the_documented_ones(summary):
    assert {
        "schema",
        "experiment",
        "config",
        "seeds",
        "versions",
        "institutions",
        "methods",
        "gain",
    } <= set(summary)
    assert (summary["schema"], summary["experiment"]) == (1, "bank_case_study")
    assert summary["seeds"] == list(SEEDS)
    assert list(summary["methods"]) == list(METHODS)
    for method in summary["methods"].values():
        assert {
            "pooled",
            "own",
            "others",
            "communication",
            "privacy",
            "seconds",
        } <= set(method)
        assert method["privacy"] is None
        assert list(method["pooled"]) == list(METRICS)
        for scope in ("own", "others"):
            assert list(method[scope]) == list(BANKS)
            assert all(
                list(values) == list(METRICS) for values in method[scope].values()
            )
        assert {"rounds", "bytes_down", "bytes_up", "source"} <= set(
            method["communication"]
        )
    assert list(summary["gain"]) == list(BANKS)


@pytest.mark.parametrize("seeds", [SEEDS, SEEDS[:1]])
@pytest.mark.parametrize("methods", [METHODS, ("local",), ("fed_avg",)])
def test_is_plain_json(methods, seeds):
    summary = build_summary(make_record(methods, seeds))
    assert json.loads(json.dumps(summary, allow_nan=False)) == summary


def test_institutions(summary):
    assert summary["institutions"]["bank_b"] == {
        "train_rows": 400,
        "validation_rows": 50,
        "test_rows": 100,
        "positive_rate": pytest.approx(0.4),
        "target": "",
    }


@pytest.mark.parametrize("method", ["fed_avg", "centralized"])
def test_global_model(summary, method):
    values = summary["methods"][method]
    assert_value(
        values["pooled"]["accuracy"],
        [accuracy(s, method, "global", "pooled", "") for s in SEEDS],
    )
    for scope in ("own", "others"):
        for name in BANKS:
            own = [accuracy(s, method, "global", scope, name) for s in SEEDS]
            assert_value(values[scope][name]["accuracy"], own)
            assert_value(values[scope][name]["auc"], [v / 2 for v in own])


def test_local_pooled_is_the_mean_over_the_banks_models(summary):
    means = [
        np.mean([accuracy(s, "local", name, "pooled", "") for name in BANKS])
        for s in SEEDS
    ]
    assert_value(summary["methods"]["local"]["pooled"]["accuracy"], means)
    # One number per seed, not one per model: the banks are no repetitions.
    assert len(summary["methods"]["local"]["pooled"]["auc"]["values"]) == len(SEEDS)
    for name in BANKS:
        own = [accuracy(s, "local", name, "own", name) for s in SEEDS]
        assert_value(summary["methods"]["local"]["own"][name]["accuracy"], own)


def test_means_over_banks_are_of_row_averages_only(summary):
    for scope in ("own", "others"):
        means = summary["methods"]["fed_avg"][f"{scope}_mean"]
        assert set(means) == {"accuracy", "log_loss", "brier"}
        expected = [
            np.mean([accuracy(s, "fed_avg", "global", scope, name) for name in BANKS])
            for s in SEEDS
        ]
        assert_value(means["accuracy"], expected)


def test_gain_is_paired_by_seed(summary):
    for name in BANKS:
        assert list(summary["gain"][name]) == ["fed_avg", "centralized"]
        differences = [
            accuracy(s, "fed_avg", "global", "own", name)
            - accuracy(s, "local", name, "own", name)
            for s in SEEDS
        ]
        assert_value(
            summary["gain"][name]["fed_avg"]["accuracy"],
            differences,
            added=["simultaneous"],
        )
        # The seeds' common ups and downs cancel: unpaired it would be far wider.
        low, high = summary["gain"][name]["fed_avg"]["accuracy"]["ci95"]
        own = summary["methods"]["fed_avg"]["own"][name]["accuracy"]["ci95"]
        assert high - low < 0.8 * (own[1] - own[0])


def test_gains_of_a_metric_are_one_family(summary):
    cells = {
        (name, method): summary["gain"][name][method]["auc"]
        for name in BANKS
        for method in ("fed_avg", "centralized")
    }
    p_values = {k: scipy.stats.ttest_1samp(c["values"], 0) for k, c in cells.items()}
    order = sorted(p_values, key=lambda key: p_values[key].pvalue)
    at_least = 0.0
    for rank, key in enumerate(order):
        together = cells[key]["simultaneous"]
        at_least = max(at_least, (4 - rank) * p_values[key].pvalue)
        assert together == {
            "family": "auc gain of every method at every institution",
            "size": 4,
            "ci95": pytest.approx(
                list(p_values[key].confidence_interval(1 - 0.05 / 4))
            ),
            "p_value": pytest.approx(p_values[key].pvalue),
            "p_holm": pytest.approx(at_least),
        }


def test_gain_without_an_interval_counts_in_its_family():
    record = with_test_rows(
        make_record(), "bank_a", SEEDS[1], test_rows=29, test_positives=14
    )
    gain = build_summary(record)["gain"]
    assert "simultaneous" not in gain["bank_a"]["fed_avg"]["accuracy"]
    assert gain["bank_b"]["fed_avg"]["accuracy"]["simultaneous"]["size"] == 4


def test_rows_of_the_record_may_come_in_any_order(summary):
    shuffled = dataclasses.replace(
        make_record(), metrics=tuple(reversed(make_record().metrics))
    )
    again = build_summary(shuffled)
    assert again["gain"] == summary["gain"]
    assert again["methods"]["local"]["pooled"] == summary["methods"]["local"]["pooled"]


def test_difference_to_centralized_is_on_all_rows(summary):
    assert list(summary["to_centralized"]) == ["local", "fed_avg"]
    differences = [
        accuracy(s, "fed_avg", "global", "pooled", "")
        - accuracy(s, "centralized", "global", "pooled", "")
        for s in SEEDS
    ]
    assert summary["to_centralized"]["fed_avg"]["accuracy"]["values"] == pytest.approx(
        differences
    )


def test_effort(summary):
    """Rounds 4, 5 and 6 under the three seeds."""
    fed_avg = summary["methods"]["fed_avg"]
    assert fed_avg["communication"] == {
        "rounds": 5,
        "bytes_down": 5000,
        "bytes_up": 500,
        "validation_bytes_down": 7,
        "validation_bytes_up": 5,
        "source": "type signature",
        # As in records from before these were known.
        "institution_bytes_down": None,
        "institution_bytes_up": None,
    }
    assert fed_avg["seconds"] == pytest.approx(1.5)
    assert summary["methods"]["local"]["seconds"] == pytest.approx(2 * 1.5)


def test_to_99_percent_is_read_from_the_curves(summary):
    """Centralized keeps round 3 with 0.8: 0.792 is wanted.

    FedAvg has 0.791 in round 3 and 0.7921 in round 4; a round costs 1,100 bytes.
    Centralized's later 0.9, on weights that were not kept, is no target.
    """
    assert list(summary["to_99_percent"]) == ["fed_avg"]
    reach = summary["to_99_percent"]["fed_avg"]
    assert reach["rounds"]["values"] == [4, 4, 4]
    # Validation took 12 bytes over the whole of 4, 5 and 6 rounds.
    assert reach["bytes"]["values"] == pytest.approx([4412, 4409.6, 4408])


def test_to_99_percent_missed_under_a_seed_has_a_reason():
    record = make_record()
    curves = tuple(
        row
        for row in record.curves
        if not (row.method == "fed_avg" and row.seed == SEEDS[0] and row.round >= 4)
    )
    reach = build_summary(dataclasses.replace(record, curves=curves))["to_99_percent"]
    missed = {"mean": None, "reason": "not reached in 1 of 3 seeds"}
    # The seed that never gets there counts as later than the two that do.
    assert reach["fed_avg"] == {
        "rounds": missed | {"values": [None, 4, 4], "median": 4},
        "bytes": missed
        | {"values": [None, 4409.6, 4408], "median": pytest.approx(4409.6)},
        "bytes_up": missed | {"values": [None, 400, 400], "median": 400},
        "seeds_reached": 2,
    }


def test_to_99_percent_missed_by_most_seeds_has_no_median():
    record = make_record()
    curves = tuple(
        row
        for row in record.curves
        if not (row.method == "fed_avg" and row.seed != SEEDS[0] and row.round >= 4)
    )
    reach = build_summary(dataclasses.replace(record, curves=curves))["to_99_percent"]
    assert reach["fed_avg"]["rounds"]["median"] is None
    assert reach["fed_avg"]["seeds_reached"] == 1


def test_one_seed_has_means_and_no_intervals():
    summary = build_summary(make_record(seeds=SEEDS[:1]))
    for value in (
        summary["methods"]["fed_avg"]["pooled"]["auc"],
        summary["methods"]["fed_avg"]["own_mean"]["accuracy"],
        summary["gain"]["bank_a"]["fed_avg"]["accuracy"],
        summary["to_99_percent"]["fed_avg"]["rounds"],
    ):
        assert value["ci95"] is None
        assert value["reason"] == "one seed gives no interval"
        assert "simultaneous" not in value
        assert len(value["values"]) == 1


def is_undefined(value, reason):
    return (value["mean"], value["reason"]) == (None, reason) and "ci95" not in value


FEW_ROWS = [
    pytest.param(29, 14, True, id="29 rows"),
    pytest.param(30, 15, False, id="30 rows"),
    pytest.param(100, 4, True, id="4 positives"),
    pytest.param(100, 5, False, id="5 positives"),
    pytest.param(100, 96, True, id="4 negatives"),
    pytest.param(100, 95, False, id="5 negatives"),
]


@pytest.mark.parametrize(("rows", "positives", "few"), FEW_ROWS)
def test_few_rows_under_one_seed_take_the_interval(rows, positives, few):
    record = with_test_rows(
        make_record(), "bank_a", SEEDS[1], test_rows=rows, test_positives=positives
    )
    summary = build_summary(record)
    fed_avg = summary["methods"]["fed_avg"]
    for value in (
        fed_avg["own"]["bank_a"]["auc"],
        fed_avg["others"]["bank_b"]["auc"],
        fed_avg["own_mean"]["accuracy"],
        summary["gain"]["bank_a"]["fed_avg"]["accuracy"],
    ):
        assert (value["ci95"] is None) == few
        if few:
            assert (
                f"too few test rows for an interval: {rows}, {positives} positive"
                in (value["reason"])
            )
            assert value["mean"] is not None
    for value in (
        fed_avg["own"]["bank_b"]["auc"],
        fed_avg["others"]["bank_a"]["auc"],
        fed_avg["pooled"]["auc"],
    ):
        assert value["ci95"] is not None


@pytest.mark.parametrize("seed", SEEDS)
def test_undefined_under_one_seed_is_undefined_with_the_reason(seed):
    reason = "All 100 rows are negative."
    record = undefine(
        make_record(),
        reason,
        seed=seed,
        method="local",
        scope="own",
        institution="bank_a",
        metric="auc",
    )
    summary = build_summary(record)
    # A difference to what does not exist does not exist either.
    for value in (
        summary["methods"]["local"]["own"]["bank_a"]["auc"],
        summary["gain"]["bank_a"]["fed_avg"]["auc"],
    ):
        assert is_undefined(value, reason)
        missing = [number is None for number in value["values"]]
        assert missing == [other == seed for other in SEEDS]
    assert summary["gain"]["bank_b"]["fed_avg"]["auc"]["mean"] is not None
    assert summary["methods"]["local"]["pooled"]["auc"]["mean"] is not None
    json.dumps(summary, allow_nan=False)


def test_undefined_for_one_model_makes_local_pooled_undefined():
    """A mean over the models that happen to have a value would be another thing."""
    record = undefine(
        make_record(),
        "diverged",
        seed=SEEDS[2],
        method="local",
        model="bank_b",
        scope="pooled",
        metric="accuracy",
    )
    pooled = build_summary(record)["methods"]["local"]["pooled"]["accuracy"]
    assert is_undefined(pooled, "diverged")


def test_undefined_at_one_bank_makes_the_mean_over_banks_undefined():
    record = undefine(
        make_record(),
        "The table has no rows.",
        method="fed_avg",
        scope="own",
        institution="bank_b",
    )
    fed_avg = build_summary(record)["methods"]["fed_avg"]
    assert is_undefined(fed_avg["own_mean"]["accuracy"], "The table has no rows.")
    assert fed_avg["others_mean"]["accuracy"]["mean"] is not None


def test_one_method_only():
    summary = build_summary(make_record(("fed_avg",)))
    assert (
        summary["gain"] == summary["to_centralized"] == summary["to_99_percent"] == {}
    )


def test_single_bank_has_no_others():
    record = make_record()
    alone = dataclasses.replace(
        record,
        institutions=tuple(
            row for row in record.institutions if row.institution == "bank_a"
        ),
        metrics=tuple(
            row
            for row in record.metrics
            if row.institution != "bank_b" and row.model != "bank_b"
        ),
    )
    alone = undefine(alone, "The table has no rows.", scope="others")
    others = build_summary(alone)["methods"]["fed_avg"]["others"]["bank_a"]
    assert is_undefined(others["accuracy"], "The table has no rows.")


def test_no_curves_at_all():
    """As with gradient boosting alone."""
    record = dataclasses.replace(make_record(("centralized",)), curves=())
    assert build_summary(record)["to_99_percent"] == {}


def test_institution_rows_are_flat_values():
    assert {f.type for f in dataclasses.fields(InstitutionRow)} == {int, str, float}


def test_bounds_come_by_seed_and_as_mean_over_models():
    record = make_record()
    metrics = [
        dataclasses.replace(
            row,
            low=row.seed - len(row.model) / 10,
            high=row.seed + BANKS.index(row.model) if row.model in BANKS else row.seed,
        )
        if row.metric == METRICS[0]
        else row
        for row in record.metrics
    ]
    summary = build_summary(dataclasses.replace(record, metrics=tuple(metrics)))
    mean_rank = sum(range(len(BANKS))) / len(BANKS)
    for method, name in (("local", BANKS[0]), ("fed_avg", "global")):
        pooled = summary["methods"][method]["pooled"]
        extra = mean_rank if method == "local" else 0
        np.testing.assert_allclose(
            pooled[METRICS[0]]["bounds"],
            [[seed - len(name) / 10, seed + extra] for seed in SEEDS],
        )
        assert "bounds" not in pooled[METRICS[1]]
    assert json.loads(json.dumps(summary, allow_nan=False)) == summary


def with_targets(record, targets):
    rows = tuple(
        dataclasses.replace(row, target=targets[row.institution])
        for row in record.institutions
    )
    return dataclasses.replace(record, institutions=rows)


def test_nothing_is_averaged_over_different_targets():
    record = make_record()
    other = with_targets(record, {name: f"target {name}" for name in BANKS})
    found, plain = build_summary(other), build_summary(record)
    for method in METHODS:
        for part in ("own_mean", "others_mean"):
            value = found["methods"][method][part]["accuracy"]
            assert (value["mean"], value["reason"]) == (None, DIFFERENT_TARGETS)
            assert plain["methods"][method][part]["accuracy"]["mean"] is not None
        assert found["methods"][method]["own"] == plain["methods"][method]["own"]
    same = with_targets(record, dict.fromkeys(BANKS, "one"))
    assert build_summary(same)["methods"] == plain["methods"]


def test_models_of_each_institution_reach_no_common_target():
    """Though all of them exchange something, their curves are their own."""
    record = make_record()
    runs = tuple(
        dataclasses.replace(run, bytes_down=1) if run.method == "local" else run
        for run in record.runs
    )
    found = build_summary(dataclasses.replace(record, runs=runs))
    assert list(found["to_99_percent"]) == ["fed_avg"]
