"""Arms are compared on the same payments, paired, and by cards."""

import numpy as np
import pytest

from tests.evaluation.sklearn_metrics import SKLEARN
from tff_finance.evaluation.arms import TestPayments, compare_arms, payment_metrics
from tff_finance.evaluation.test_scores import TestScores

ROWS = {"bank_a": 400, "bank_b": 600}
BANKS = list(ROWS)


def payments(seed=0):
    rng = np.random.default_rng(seed)
    rows = sum(ROWS.values())
    return TestPayments(
        institutions=BANKS,
        labels=(rng.random(rows) < 0.2).astype(int),
        cards=rng.integers(80, size=rows),
        days=rng.integers(5, size=rows),
    )


def scores_of(logits):
    ends = np.cumsum([0, *ROWS.values()])
    return {
        name: logits[start:end]
        for name, start, end in zip(BANKS, ends[:-1], ends[1:], strict=True)
    }


def arms_of(test, noise, seed):
    """`fed_avg` with less or more noise, `local` right at home and nowhere else."""
    rng = np.random.default_rng(seed)
    arms = {}
    for arm, level in noise.items():
        logits = test.labels + level * rng.normal(size=len(test.labels))
        home = scores_of(logits)
        local = {
            bank: {
                other: home[other] if other == bank else -home[other] for other in BANKS
            }
            for bank in BANKS
        }
        arms[arm] = {
            "fed_avg": TestScores(logits={"global": home}),
            "local": TestScores(logits=local),
        }
    return arms


@pytest.fixture(scope="module")
def compared():
    test = payments()
    noise = {"own": 2.0, "federated": 0.6}
    scores = {seed: arms_of(test, noise, seed) for seed in (1, 2)}
    pairs = [
        (("federated", method), ("own", method)) for method in ("fed_avg", "local")
    ]
    return test, scores, compare_arms(scores, test, pairs, resamples=200)


def test_values_are_those_of_all_payments(compared):
    test, scores, result = compared
    for metric in ("auc", "average_precision"):
        found = result["values"]["own"]["fed_avg"][metric]
        expected = [
            SKLEARN[metric](
                test.labels,
                scores[seed]["own"]["fed_avg"].pooled()[:, 0],
                np.ones(len(test.labels)),
            )
            for seed in (1, 2)
        ]
        assert found["values"] == pytest.approx(expected)
        assert found["mean"] == pytest.approx(np.mean(expected))
        assert found["ci95"][0] < found["mean"] < found["ci95"][1]


def test_local_models_score_their_own_banks_payments(compared):
    _, _, result = compared
    for arm in ("own", "federated"):
        of_arm = result["values"][arm]
        assert of_arm["local"] == of_arm["fed_avg"]


def test_difference_is_paired_and_says_whose(compared):
    _, _, result = compared
    first = result["differences"][0]
    assert (first["arm"], first["reference_arm"]) == ("federated", "own")
    assert first["method"] == first["reference_method"] == "fed_avg"
    values = result["values"]
    for metric, difference in first["metrics"].items():
        means = [values[arm]["fed_avg"][metric]["mean"] for arm in ("federated", "own")]
        assert difference["mean"] == pytest.approx(means[0] - means[1])
        assert difference["resampled_units"] == [80, 80]
    assert first["metrics"]["auc"]["ci95"][0] > 0


def test_model_doesnt_differ_from_itself():
    test = payments()
    model = ("own", "fed_avg")
    scores = {3: arms_of(test, {"own": 1.0}, 3)}
    result = compare_arms(scores, test, [(model, model)], resamples=100)
    for difference in result["differences"][0]["metrics"].values():
        assert difference["ci95"] == [0, 0]


def test_metrics_have_the_names_of_the_tasks():
    from tff_finance.tasks.fraud import FRAUD

    named = {m.name for m in (*FRAUD.payment_metrics, *FRAUD.card_metrics)}
    assert set(payment_metrics(payments())) <= named | set(FRAUD.metrics)
