"""Intervals over test rows in summaries: golden values by hand."""

import dataclasses

import pytest

from tests.evaluation.hand_made import SEEDS, make_record
from tff_finance.evaluation.summary import build_summary
from tff_finance.records.run_rows import BootstrapRow

LIMITS = {0: (0.1, 0.3), 1: (0.2, 0.6)}


def bootstrap_row(seed, **options):
    low, high = LIMITS[SEEDS.index(seed) % 2]
    defaults = {
        "seed": seed,
        "method": "fed_avg",
        "reference": "centralized",
        "scope": "pooled",
        "institution": "",
        "metric": "accuracy",
        "value": 0.25,
        "low": low,
        "high": high,
        "reason": "",
        "rows": 200,
        "positives": 80,
        "units": 50,
        "resamples": 1000,
    }
    return BootstrapRow(**defaults | options)


@pytest.fixture(scope="module")
def record():
    return make_record()


def with_rows(record, **options):
    rows = tuple(bootstrap_row(seed, **options) for seed in SEEDS)
    return dataclasses.replace(record, bootstraps=rows)


def test_limits_are_means_over_seeds_and_the_spread_stands_apart(record):
    plain = build_summary(record)["to_centralized"]["fed_avg"]["accuracy"]
    found = build_summary(with_rows(record))["to_centralized"]["fed_avg"]["accuracy"]
    lows, highs = zip(*(LIMITS[n % 2] for n in range(len(SEEDS))), strict=True)
    assert found["ci95"] == pytest.approx(
        [sum(lows) / len(SEEDS), sum(highs) / len(SEEDS)]
    )
    # The difference itself is that of the record's metrics.
    assert found["mean"] == pytest.approx(plain["mean"])
    assert found["values"] == pytest.approx(plain["values"])
    assert found["covers"] == "choice of test rows, within seeds"
    assert found["within_seeds"] == [list(LIMITS[n % 2]) for n in range(len(SEEDS))]
    assert found["over_seeds"]["min"] == pytest.approx(min(plain["values"]))
    assert found["test_rows"] == [200] * len(SEEDS)
    assert found["resampled_units"] == [50] * len(SEEDS)


def test_what_was_not_bootstrapped_has_no_interval_and_no_t_interval(record):
    summary = build_summary(with_rows(record))
    value = summary["methods"]["fed_avg"]["pooled"]["accuracy"]
    assert value["mean"] is not None
    assert value["ci95"] is None
    assert "no interval over test rows" in value["reason"]
    gains = [
        metric
        for methods in summary["gain"].values()
        for metrics in methods.values()
        for metric in metrics.values()
    ]
    assert gains
    assert not any("simultaneous" in gain for gain in gains)


def test_one_seed_without_limits_leaves_no_interval_but_its_reason(record):
    few = "too few test rows for an interval: 12, 1 positive"
    complete = with_rows(record)
    rows = (
        dataclasses.replace(complete.bootstraps[0], low=None, high=None, reason=few),
        *complete.bootstraps[1:],
    )
    summary = build_summary(dataclasses.replace(record, bootstraps=rows))
    value = summary["to_centralized"]["fed_avg"]["accuracy"]
    assert value["ci95"] is None
    assert value["reason"] == few
    assert value["within_seeds"][0] is None
    assert value["mean"] is not None


def test_synthetic_records_keep_intervals_over_seeds(record):
    summary = build_summary(record)
    value = summary["to_centralized"]["fed_avg"]["accuracy"]
    assert set(value) == {"mean", "ci95", "values"}
    assert set(summary["to_local"]) == {"fed_avg", "centralized"}
