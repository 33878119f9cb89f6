"""Intervals within seeds and the spread over seeds, apart."""

import json

import numpy as np
import pytest

from tff_finance.evaluation.across_seeds import over_seeds
from tff_finance.evaluation.bootstrap import PairedDifference, paired_bootstrap
from tff_finance.metrics.derived import Undefined


def difference(value, ci95, *, units=200):
    return PairedDifference(
        difference=value, ci95=ci95, rows=400, units=units, resamples=1000
    )


def test_by_hand():
    result = over_seeds(
        {3: difference(0.01, (-0.01, 0.03)), 8: difference(0.04, (0.02, 0.06))}
    )
    assert result.to_json() == {
        "mean": pytest.approx(0.025),
        "ci95": pytest.approx([0.005, 0.045]),
        "values": [0.01, 0.04],
        "covers": "choice of test rows, within seeds",
        "within_seeds": [[-0.01, 0.03], [0.02, 0.06]],
        "over_seeds": {
            "sd": pytest.approx(0.03 / np.sqrt(2)),
            "min": 0.01,
            "max": 0.04,
        },
        "test_rows": [400, 400],
        "resampled_units": [200, 200],
        "resamples": [1000, 1000],
    }
    json.dumps(result.to_json(), allow_nan=False)


def test_one_seed_has_an_interval_but_no_spread():
    summary = over_seeds({0: difference(0.01, (-0.01, 0.03))}).to_json()
    assert summary["ci95"] == [-0.01, 0.03]
    assert summary["over_seeds"] == {
        "sd": None,
        "reason": "one seed has no spread",
        "min": 0.01,
        "max": 0.01,
    }


def test_few_rows_under_one_seed_take_the_interval():
    few = Undefined("too few test rows for an interval: 29, 14 positive")
    summary = over_seeds(
        {0: difference(0.01, (-0.01, 0.03)), 1: difference(0.03, few)}
    ).to_json()
    assert summary["mean"] == pytest.approx(0.02)
    assert (summary["ci95"], summary["reason"]) == (None, few.reason)
    assert summary["within_seeds"] == [[-0.01, 0.03], None]
    json.dumps(summary, allow_nan=False)


def test_undefined_under_one_seed_is_undefined():
    none = Undefined("All 40 rows are negative.")
    result = over_seeds({0: difference(0.01, (0, 1)), 1: difference(none, none)})
    assert result.to_json() == {"mean": None, "reason": none.reason}
    assert result.spread == none


def test_no_seed_is_refused():
    with pytest.raises(ValueError, match="`by_seed` must hold at least one seed"):
        over_seeds({})


def test_more_seeds_on_the_same_rows_are_no_more_customers():
    random = np.random.default_rng(0)
    labels = random.integers(0, 2, size=2000)
    reference = random.normal(size=2000) + labels
    difficulty = random.normal(size=2000)  # of the same rows under all seeds
    brier = {}
    for seed in range(4):
        model = reference + 0.8 * difficulty + 0.3 * random.normal(size=2000)
        generator = np.random.default_rng(1)
        brier[seed] = paired_bootstrap(labels, model, reference, generator=generator)[
            "brier"
        ]
    low, high = over_seeds(brier).ci95
    single = np.mean([b.ci95[1] - b.ci95[0] for b in brier.values()])
    assert high - low == pytest.approx(single)
