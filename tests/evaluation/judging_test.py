"""Judging: metrics on own, others' and all rows from sums of histograms."""

import numpy as np
import pytest
import sklearn.metrics

from tff_finance.evaluation.judging import judge
from tff_finance.institutions.examples import dense_examples
from tff_finance.metrics.derived import METRICS
from tff_finance.records.run_record import DIFFERENT_TARGETS
from tff_finance.tasks.risk import RISK


def rows(count, seed, *, shift, rate):
    """Scores on a grid of whole bins, so that a histogram loses no tie."""
    rng = np.random.default_rng(seed)
    y = (rng.random(count) < rate).astype(np.float32)
    score = np.round((rng.normal(shift, 1, count) + y) * 32) / 32
    return dense_examples(
        np.stack([score, -score], axis=1), y, institution=f"bank_{seed}"
    )


# Unlike base rates and levels: every bank ranks well, the market does not.
TEST = {
    "bank_a": rows(300, 1, shift=-3, rate=0.7),
    "bank_b": rows(200, 2, shift=0, rate=0.5),
    "bank_c": rows(100, 3, shift=3, rate=0.2),
}


def right(x):
    return x[:, 0]


def wrong(x):
    return x[:, 1]


def by_key(judgement):
    table = {
        (row.model, row.scope, row.institution, row.metric): row
        for row in judgement.metrics
    }
    assert len(table) == len(judgement.metrics)
    return table


def pooled_auc(scorer, names):
    y = np.concatenate([TEST[name]["y"][:, 0] for name in names])
    scores = np.concatenate([scorer(TEST[name]["x"]) for name in names])
    return sklearn.metrics.roc_auc_score(y, scores)


SCOPES = [
    ("pooled", "", ("bank_a", "bank_b", "bank_c")),
    ("own", "bank_a", ("bank_a",)),
    ("own", "bank_b", ("bank_b",)),
    ("own", "bank_c", ("bank_c",)),
    ("others", "bank_a", ("bank_b", "bank_c")),
    ("others", "bank_b", ("bank_a", "bank_c")),
    ("others", "bank_c", ("bank_a", "bank_b")),
]


@pytest.mark.parametrize(("scope", "institution", "names"), SCOPES)
def test_global_model_equals_scikit_learn_on_those_rows(scope, institution, names):
    values = by_key(judge({"global": right}, TEST, seed=4, method="fed_avg"))
    row = values["global", scope, institution, "auc"]
    assert row.value == pytest.approx(pooled_auc(right, names), abs=1e-12)
    assert (row.seed, row.method, row.reason) == (4, "fed_avg", "")
    y = np.concatenate([TEST[name]["y"][:, 0] for name in names])
    scores = np.concatenate([TEST[name]["x"][:, 0] for name in names])
    assert values["global", scope, institution, "accuracy"].value == (
        sklearn.metrics.accuracy_score(y, scores >= 0)
    )
    assert values["global", scope, institution, "log_loss"].value == pytest.approx(
        sklearn.metrics.log_loss(y, 1 / (1 + np.exp(-scores.astype(float)))), rel=1e-6
    )


def test_pooled_auc_is_no_mean_of_the_banks():
    values = by_key(judge({"global": right}, TEST, seed=0, method="fed_avg"))
    pooled = values["global", "pooled", "", "auc"].value
    own = [values["global", "own", name, "auc"].value for name in TEST]
    assert min(own) - pooled > 0.1


def test_a_tasks_own_metrics_are_judged_too():
    values = by_key(
        judge({"global": right}, TEST, seed=0, method="m", judged_by=RISK.metrics)
    )
    by_metric = {key[-1] for key in values}
    assert by_metric == set(METRICS) | {"bad_rate_at_approval_80", "expected_cost"}
    y = np.concatenate([t["y"][:, 0] for t in TEST.values()])
    scores = np.concatenate([t["x"][:, 0] for t in TEST.values()])
    approved = np.argsort(scores)[:480]
    assert values[
        "global", "pooled", "", "bad_rate_at_approval_80"
    ].value == pytest.approx(y[approved].mean(), abs=2e-3)


def test_global_model_is_judged_in_every_scope_and_metric():
    values = by_key(judge({"global": right}, TEST, seed=0, method="fed_avg"))
    assert set(values) == {
        ("global", scope, institution, metric)
        for scope, institution, _ in SCOPES
        for metric in METRICS
    }


def test_local_model_is_judged_from_its_own_bank():
    scorers = {"bank_a": right, "bank_b": wrong, "bank_c": right}
    values = by_key(judge(scorers, TEST, seed=0, method="local"))
    assert {key[:3] for key in values} == {
        (name, scope, "" if scope == "pooled" else name)
        for name in scorers
        for scope in ("pooled", "own", "others")
    }
    for name, scorer in scorers.items():
        others = [other for other in TEST if other != name]
        for scope, institution, names in (
            ("pooled", "", list(TEST)),
            ("own", name, [name]),
            ("others", name, others),
        ):
            assert values[name, scope, institution, "auc"].value == pytest.approx(
                pooled_auc(scorer, names), abs=1e-12
            )


def test_undefined_is_none_with_its_reason():
    nobody = dense_examples(np.zeros((0, 2)), np.zeros(0), institution="bank_e")
    good = dense_examples(np.ones((4, 2)), np.zeros(4), institution="bank_g")
    test = {"empty": nobody, "good": good}
    values = by_key(judge({"global": right}, test, seed=0, method="fed_avg"))
    for metric in METRICS:
        row = values["global", "own", "empty", metric]
        assert (row.value, row.reason) == (None, "The table has no rows.")
        assert values["global", "others", "good", metric].value is None
    auc = values["global", "own", "good", "auc"]
    assert (auc.value, auc.reason) == (None, "All 4 rows are negative.")
    accuracy = values["global", "own", "good", "accuracy"]
    assert (accuracy.value, accuracy.reason) == (0.0, "")


def test_single_bank_has_no_others():
    values = by_key(
        judge({"global": right}, {"a": TEST["bank_a"]}, seed=0, method="fed_avg")
    )
    assert values["global", "others", "a", "accuracy"].value is None
    assert values["global", "own", "a", "auc"].value is not None


def test_histograms_hold_every_test_row_once_per_model():
    judgement = judge({"bank_a": right, "bank_b": wrong}, TEST, seed=9, method="local")
    for model in ("bank_a", "bank_b"):
        for name, examples in TEST.items():
            bins = [
                row
                for row in judgement.histograms
                if (row.model, row.institution) == (model, name)
            ]
            positives = int(examples["y"].sum())
            assert sum(row.positives for row in bins) == positives
            assert sum(row.negatives for row in bins) == len(examples["y"]) - positives
            assert all(row.positives + row.negatives > 0 for row in bins)
            assert len({row.bin for row in bins}) == len(bins)
            assert {(row.seed, row.method) for row in bins} == {(9, "local")}
    tables = [
        {
            (row.bin, row.positives)
            for row in judgement.histograms
            if (row.model, row.institution) == (model, "bank_a")
        }
        for model in ("bank_a", "bank_b")
    ]
    assert tables[0] != tables[1]


def test_auc_has_bounds_that_hold_the_auc_of_the_rows():
    """Scores nearer than a bin's width are tied, and the bounds say so."""
    rng = np.random.default_rng(8)
    scores = rng.normal(scale=0.01, size=300)  # a handful of bins
    y = (scores + rng.normal(scale=0.01, size=300) > 0).astype(np.float32)[:, None]
    x = scores.astype(np.float32)[:, None]
    rows = {"a": {"x": x, "y": y}}
    judgement = judge({"global": lambda x: x[:, 0]}, rows, seed=0, method="fed_avg")
    (auc,) = [r for r in judgement.metrics if (r.metric, r.scope) == ("auc", "pooled")]
    exact = sklearn.metrics.roc_auc_score(y[:, 0], x[:, 0])
    assert auc.low < exact < auc.high
    assert auc.low < auc.value < auc.high
    assert auc.high - auc.low > 0.01
    others = [r for r in judgement.metrics if r.metric != "auc"]
    assert all(r.low is None and r.high is None for r in others)


def test_rows_of_different_targets_have_no_metric():
    targets = {"bank_a": "defaults", "bank_b": "defaults", "bank_c": "leaves"}
    scorers = {name: right for name in TEST}
    values = by_key(judge(scorers, TEST, seed=0, method="local", targets=targets))
    alike = by_key(judge(scorers, TEST, seed=0, method="local"))
    for key, row in values.items():
        model, scope, *_ = key
        if scope == "own":
            assert row == alike[key]
        else:  # all rows and the others' have both targets, or not bank_c's
            assert (row.value, row.reason) == (None, DIFFERENT_TARGETS), model


def test_a_global_model_has_metrics_of_each_target_by_itself():
    targets = {"bank_a": "defaults", "bank_b": "defaults", "bank_c": "leaves"}
    values = by_key(
        judge({"global": right}, TEST, seed=0, method="fed_avg", targets=targets)
    )
    assert values["global", "own", "bank_c", "auc"].value is not None
    # The others of bank_c have one target.
    assert values["global", "others", "bank_c", "auc"].value is not None
    for scope, name in (("pooled", ""), ("others", "bank_a")):
        row = values["global", scope, name, "auc"]
        assert (row.value, row.reason) == (None, DIFFERENT_TARGETS)


def test_one_target_is_no_target():
    same = dict.fromkeys(TEST, "defaults")
    scorers = {name: right for name in TEST}
    found = judge(scorers, TEST, seed=0, method="local", targets=same)
    assert found == judge(scorers, TEST, seed=0, method="local")
