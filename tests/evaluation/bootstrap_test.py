"""The paired bootstrap: coverage, analytic variances, and what it refuses."""

import math

import numpy as np
import pytest
import scipy.stats
import sklearn.metrics

from tests.evaluation.sklearn_metrics import SKLEARN
from tff_finance.evaluation.bootstrap import (
    Comparison,
    bootstrap_comparisons,
    paired_bootstrap,
)
from tff_finance.evaluation.row_metrics import ROW_METRICS, RowMetric, row_metric
from tff_finance.metrics.derived import Undefined

STRENGTHS = 1.0, 0.7
"""Distance of both classes' mean logits from 0, under the model and the reference."""

TRUTH = {
    # Logits are normal with deviation 1 within a class.
    "accuracy": float(np.diff(scipy.stats.norm.cdf(STRENGTHS[::-1])).item()),
    "auc": float(
        np.diff(scipy.stats.norm.cdf(np.sqrt(2) * np.array(STRENGTHS[::-1]))).item()
    ),
}
METRICS = {name: ROW_METRICS[name] for name in TRUTH}


def make_rows(random, customers, *, rows_each=1, alike=0.0, shared=0.6):
    """Two correlated models on customers whose rows are more or less alike."""
    owners = np.repeat(np.arange(customers), rows_each)
    labels = (random.random(customers) < 0.4)[owners].astype(float)

    def noise():
        own = random.normal(size=owners.size)
        return math.sqrt(alike) * random.normal(size=customers)[owners] + (
            math.sqrt(1 - alike) * own
        )

    common = noise()
    model, reference = (
        (2 * labels - 1) * strength
        + math.sqrt(shared) * common
        + math.sqrt(1 - shared) * noise()
        for strength in STRENGTHS
    )
    return labels, model, reference, owners


def coverage(repetitions, *, use_clusters=False, **population):
    random = np.random.default_rng(11)
    covered = dict.fromkeys(TRUTH, 0)
    for _ in range(repetitions):
        labels, model, reference, owners = make_rows(random, **population)
        results = paired_bootstrap(
            labels,
            model,
            reference,
            clusters=owners if use_clusters else None,
            metrics=METRICS,
            resamples=299,
            generator=random,
        )
        for name, truth in TRUTH.items():
            low, high = results[name].ci95
            covered[name] += low <= truth <= high
    return {name: count / repetitions for name, count in covered.items()}


def test_covers_the_truth_in_95_of_100_cases():
    repetitions = 300
    tolerance = 3 * math.sqrt(0.95 * 0.05 / repetitions)
    for share in coverage(repetitions, customers=300).values():
        assert abs(share - 0.95) < tolerance


def test_rows_of_one_customer_are_no_independent_evidence():
    repetitions, population = 200, {"customers": 60, "rows_each": 5, "alike": 0.8}
    tolerance = 3 * math.sqrt(0.95 * 0.05 / repetitions)
    for share in coverage(repetitions, use_clusters=True, **population).values():
        assert abs(share - 0.95) < tolerance
    for share in coverage(100, **population).values():
        assert share < 0.8


def test_few_customers_need_expanded_percentiles():
    """Plain percentiles of 30 normal values cover in 93 of 100 cases."""
    repetitions, random, covered = 600, np.random.default_rng(0), 0
    labels = np.tile([0.0, 1], 15)
    mean = RowMetric(
        prepare=lambda _, values: lambda w: w @ values / w.sum(axis=1),
        needs_both_classes=False,
    )
    for _ in range(repetitions):
        low, high = paired_bootstrap(
            labels,
            random.normal(size=30),
            np.zeros(30),
            metrics={"mean": mean},
            generator=random,
            resamples=399,
        )["mean"].ci95
        covered += low <= 0 <= high
    assert abs(covered / repetitions - 0.95) < 1.5 * math.sqrt(
        0.05 * 0.95 / repetitions
    )


def half_width(result):
    return (result.ci95[1] - result.ci95[0]) / 2


def delong(labels, scores):
    """Covariance matrix of AUCs on the same rows (DeLong et al., 1988)."""
    by_positive, by_negative = [], []
    for values in scores:
        positives, negatives = values[labels == 1], values[labels == 0]
        wins = (positives[:, None] > negatives).astype(float)
        by_positive.append(wins.mean(axis=1))
        by_negative.append(wins.mean(axis=0))
    return np.cov(by_positive) / len(by_positive[0]) + np.cov(by_negative) / len(
        by_negative[0]
    )


@pytest.fixture(scope="module")
def large():
    """A large sample, and the bootstrap of it."""
    labels, model, reference, _ = make_rows(np.random.default_rng(3), 3000, shared=0.9)
    results = paired_bootstrap(
        labels,
        model,
        reference,
        generator=np.random.default_rng(4),
        resamples=2000,
    )
    return labels, model, reference, results


def test_auc_agrees_with_delong_and_uses_the_pairing(large):
    labels, model, reference, results = large
    covariance = delong(labels, (model, reference))
    variances, both = np.trace(covariance), 2 * covariance[0, 1]
    paired = 1.96 * math.sqrt(variances - both)
    unpaired = 1.96 * math.sqrt(variances)
    assert half_width(results["auc"]) == pytest.approx(paired, rel=0.1)
    # Two sets of resamples, one for each model, would find this one.
    assert unpaired > 1.4 * paired


@pytest.mark.parametrize("name", ["accuracy", "log_loss", "brier"])
def test_averages_agree_with_the_paired_variance(large, name):
    labels, model, reference, results = large
    metric = ROW_METRICS[name]
    one_by_one = np.eye(len(labels))
    per_row = [metric.prepare(labels, z)(one_by_one) for z in (model, reference)]
    error = np.std(per_row[0] - per_row[1]) / math.sqrt(len(labels))
    assert half_width(results[name]) == pytest.approx(1.96 * error, rel=0.1)
    unpaired = math.hypot(*(np.std(values) for values in per_row))
    assert unpaired / math.sqrt(len(labels)) > 1.4 * error


def test_clusters_agree_with_the_variance_of_their_means():
    labels, model, reference, owners = make_rows(
        np.random.default_rng(5), 500, rows_each=4, alike=0.8
    )
    result = paired_bootstrap(
        labels,
        model,
        reference,
        clusters=owners,
        generator=np.random.default_rng(6),
        resamples=2000,
    )["accuracy"]
    gain = ((model >= 0) == labels).astype(float) - ((reference >= 0) == labels)
    error = np.std(gain.reshape(500, 4).mean(axis=1)) / math.sqrt(500)
    assert half_width(result) == pytest.approx(1.96 * error, rel=0.1)
    assert (result.rows, result.units) == (2000, 500)


def test_binomial_limits():
    """Right in 12 of 40 rows where the reference errs: resamples are binomial.

    t(39) at 0.025 is -2.0227; times sqrt(40 / 39) the normal level is 0.0203.
    """
    labels = np.tile([0.0, 1], 20)
    reference = 2 * labels - 1
    reference[:12] *= -1
    result = paired_bootstrap(
        labels,
        2 * labels - 1,
        reference,
        generator=np.random.default_rng(0),
        resamples=20_000,
    )["accuracy"]
    assert result.difference == pytest.approx(0.3)
    expected = scipy.stats.binom.ppf([0.0203, 1 - 0.0203], 40, 0.3) / 40
    assert result.ci95 == pytest.approx(tuple(expected))


def test_equal_to_resampling_rows_one_by_one():
    """The same draws, but rows copied and scikit-learn's metrics of the copies."""
    random = np.random.default_rng(8)
    labels, model, reference, _ = make_rows(random, 60)
    model, reference = np.round(model, 1), np.round(reference, 1)  # ties
    smaller_class = min(labels.sum(), 60 - labels.sum())
    results = paired_bootstrap(
        labels, model, reference, generator=np.random.default_rng(9), resamples=100
    )
    draws = np.random.default_rng(9).integers(60, size=(100, 60))
    for name, metric in SKLEARN.items():
        values = [
            metric(labels[rows], model[rows], None)
            - metric(labels[rows], reference[rows], None)
            for rows in draws
        ]
        n = 60 if name in {"accuracy", "log_loss", "brier"} else smaller_class
        t = scipy.stats.t.ppf(0.025, n - 1) * math.sqrt(n / (n - 1))
        # Of 100 values, the one at place 101 x level counted from the ends.
        place = 101 * scipy.stats.norm.cdf(t) - 1
        ends = np.sort(values), np.sort(values)[::-1]
        expected = [np.interp(place, range(100), end) for end in ends]
        assert results[name].ci95 == pytest.approx(tuple(expected), abs=1e-12)
        assert results[name].difference == pytest.approx(
            metric(labels, model, None) - metric(labels, reference, None)
        )


def run(labels, model, reference, seed=0, **options):
    generator = np.random.default_rng(seed)
    return paired_bootstrap(labels, model, reference, generator=generator, **options)


def test_same_generator_same_interval():
    labels, model, reference, owners = make_rows(
        np.random.default_rng(1), 50, rows_each=2
    )
    assert run(labels, model, reference) == run(labels, model, reference)
    assert run(labels, model, reference) != run(labels, model, reference, seed=1)
    columns = (values[:, None] for values in (labels, model, reference))
    assert run(*columns) == run(labels, model, reference)
    named = np.array([f"customer {owner}" for owner in owners], dtype=object)
    assert run(labels, model, reference, clusters=named) == run(
        labels, model, reference, clusters=owners
    )


def test_clusters_of_one_row_are_rows():
    labels, model, reference, owners = make_rows(np.random.default_rng(1), 60)
    assert run(labels, model, reference, clusters=owners) == run(
        labels, model, reference
    )


def test_swapped_models_swap_the_interval():
    labels, model, reference, _ = make_rows(np.random.default_rng(1), 100)
    there = run(labels, model, reference)["auc"]
    back = run(labels, reference, model)["auc"]
    assert there.difference == -back.difference
    assert there.ci95 == pytest.approx((-back.ci95[1], -back.ci95[0]))


def test_a_model_does_not_differ_from_itself():
    labels, model, _, _ = make_rows(np.random.default_rng(1), 100)
    for result in run(labels, model, model).values():
        assert (result.difference, result.ci95) == (0, (0, 0))


def test_resamples_without_a_class_are_drawn_again():
    """5 positives of 2,000: one resample in 150 has none."""
    labels = np.zeros(2000)
    labels[:5] = 1
    random = np.random.default_rng(2)
    model, reference = random.normal(size=(2, 2000))
    low, high = run(labels, model, reference, resamples=1000)["auc"].ci95
    assert -1 < low < high < 1


def test_rankings_count_the_smaller_class():
    """With 6 positives the AUC has 5 degrees of freedom, the accuracy 299."""
    repetitions, random = 300, np.random.default_rng(3)
    labels = (np.arange(300) < 6).astype(float)
    covered = 0
    for _ in range(repetitions):
        noise = random.normal(size=(2, 300))
        scores = (2 * labels - 1) * np.array(STRENGTHS)[:, None] + noise
        result = run(labels, *scores, seed=random, metrics=METRICS, resamples=299)
        low, high = result["auc"].ci95
        covered += low <= TRUTH["auc"] <= high
    # By the 300 rows it would be 0.87.
    assert covered / repetitions > 0.92


FEW_ROWS = [
    pytest.param(29, 14, True, id="29 rows"),
    pytest.param(30, 15, False, id="30 rows"),
    pytest.param(100, 4, True, id="4 positives"),
    pytest.param(100, 5, False, id="5 positives"),
    pytest.param(100, 96, True, id="4 negatives"),
    pytest.param(100, 95, False, id="5 negatives"),
]


@pytest.mark.parametrize(("rows", "positives", "few"), FEW_ROWS)
def test_few_rows_have_a_difference_and_the_reason_for_no_interval(
    rows, positives, few
):
    labels = (np.arange(rows) < positives).astype(float)
    model, reference = np.random.default_rng(0).normal(size=(2, rows))
    for result in run(labels, model, reference, resamples=100).values():
        assert math.isfinite(result.difference)
        assert isinstance(result.ci95, Undefined) == few
        if few:
            reason = f"too few test rows for an interval: {rows}, {positives} positive"
            assert result.ci95 == Undefined(reason)


FEW_CLUSTERS = [
    pytest.param(29, 14, True, id="29 clusters"),
    pytest.param(30, 15, False, id="30 clusters"),
    pytest.param(100, 4, True, id="4 with positives"),
    pytest.param(100, 96, True, id="4 with negatives"),
]


@pytest.mark.parametrize(("clusters", "positives", "few"), FEW_CLUSTERS)
def test_many_rows_of_few_customers_are_few(clusters, positives, few):
    owners = np.repeat(np.arange(clusters), 10)
    labels = (owners < positives).astype(float)
    model, reference = np.random.default_rng(0).normal(size=(2, owners.size))
    result = run(labels, model, reference, clusters=owners, resamples=100)["auc"]
    assert isinstance(result.ci95, Undefined) == few
    if few:
        negatives = clusters - positives
        assert result.ci95.reason == (
            f"too few clusters for an interval: {clusters}, {positives} with a "
            f"positive and {negatives} with a negative row"
        )


def test_one_class_has_no_ranking_metric():
    model, reference = np.random.default_rng(0).normal(size=(2, 40))
    results = run(np.zeros(40), model, reference)
    undefined = Undefined("All 40 rows are negative.")
    assert results["auc"].difference == results["auc"].ci95 == undefined
    assert results["average_precision"].difference == undefined
    assert math.isfinite(results["accuracy"].difference)
    assert isinstance(results["accuracy"].ci95, Undefined)
    assert run(np.ones(40), model, reference)["auc"].ci95 == Undefined(
        "All 40 rows are positive."
    )


def test_no_rows():
    for result in run([], [], []).values():
        assert result.difference == result.ci95 == Undefined("The table has no rows.")


ROWS = np.tile([0.0, 1], 20)
WRONG = [
    ({"labels": ROWS + 1}, r"`labels` must be 0 or 1, 20"),
    ({"labels": ROWS.reshape(20, 2)}, r"`labels` must have shape .*\(20, 2\)"),
    ({"logits": ROWS[:1]}, r"`logits` must have as many rows .*40; got 1"),
    (
        {"reference_logits": np.full(40, np.inf)},
        r"`reference_logits` must be finite, 40",
    ),
    ({"clusters": ROWS[:3]}, r"`clusters` must have shape \[40\].*\[3\]"),
    ({"clusters": [None] + ["a"] * 39}, r"`clusters` .* 1 of them are missing"),
    ({"resamples": 99}, r"`resamples` must be at least 100, got 99"),
    (
        {"metrics": {"broken": row_metric(lambda *_: math.nan)}},
        r"`metrics` must be finite on every resample, 'broken'",
    ),
]


@pytest.mark.parametrize(("wrong", "message"), WRONG)
def test_refuses(wrong, message):
    arguments = {"labels": ROWS, "logits": ROWS, "reference_logits": ROWS} | wrong
    with pytest.raises(ValueError, match=message):
        paired_bootstrap(**arguments, generator=np.random.default_rng(0))


def test_a_public_table_of_58_000_rows():
    labels, model, reference, _ = make_rows(np.random.default_rng(0), 58_000)
    result = run(labels, model, reference, metrics=METRICS, resamples=100)["auc"]
    assert result.difference == pytest.approx(
        sklearn.metrics.roc_auc_score(labels, model)
        - sklearn.metrics.roc_auc_score(labels, reference)
    )


def test_several_models_are_judged_by_the_mean_of_their_values():
    """A column per model; the mean is taken of metrics, not of scores."""
    rng = np.random.default_rng(4)
    truth = rng.integers(0, 2, 120)
    models = rng.normal(size=(120, 3)) + truth[:, np.newaxis] * [0.2, 0.5, 2.0]
    reference = rng.normal(size=120) + truth
    single = {
        n: paired_bootstrap(
            truth, models[:, n], reference, generator=np.random.default_rng(0)
        )
        for n in range(3)
    }
    several = paired_bootstrap(
        truth, models, reference, generator=np.random.default_rng(0)
    )
    for metric, result in several.items():
        expected = np.mean([single[n][metric].difference for n in range(3)])
        assert result.difference == pytest.approx(expected)
        low, high = result.ci95
        assert low <= result.difference <= high
    alike = paired_bootstrap(
        truth,
        np.repeat(models[:, :1], 2, axis=1),
        reference,
        generator=np.random.default_rng(0),
    )
    assert alike["auc"].ci95 == pytest.approx(single[0]["auc"].ci95)


def test_a_comparison_without_reference_is_the_models_own_value():
    rng = np.random.default_rng(4)
    truth = rng.integers(0, 2, 120)
    scores = {"a": rng.normal(size=120) + truth, "b": rng.normal(size=120)}
    own, against = Comparison("a", None), Comparison("a", "b")
    found = bootstrap_comparisons(
        truth, scores, [own, against], generator=np.random.default_rng(0)
    )
    assert found[own]["auc"].difference == pytest.approx(
        sklearn.metrics.roc_auc_score(truth, scores["a"])
    )
    alone = paired_bootstrap(
        truth, scores["a"], scores["b"], generator=np.random.default_rng(0)
    )
    assert found[against] == alone
