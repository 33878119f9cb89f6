"""Judging by day: the same numbers as from pooled rows, in every scope."""

import dataclasses

import numpy as np
import pytest

from tff_finance.evaluation.daily_judging import PaymentDetails, judge_days
from tff_finance.institutions.examples import dense_examples
from tff_finance.tasks.fraud import FRAUD
from tff_finance.tasks.risk import RISK

PERIOD = {"first_day": 10, "days": 3}


def payments(seed, rows):
    rng = np.random.default_rng(seed)
    y = (rng.random(rows) < 0.02).astype(np.float32)
    score = rng.permutation(rows) / 128 + 3 * y - 12  # a bin each, nearly
    x = np.stack([score, -score], axis=1)
    details = PaymentDetails(
        day=rng.integers(10, 13, rows),
        card=np.array([f"{seed}-{card}" for card in rng.integers(400, size=rows)]),
        amount=np.round(rng.lognormal(3, 1, rows), 2),
    )
    return dense_examples(x, y, institution=f"bank_{seed}"), details


BANKS = {f"bank_{seed}": payments(seed, rows) for seed, rows in ((1, 900), (2, 1500))}
TEST = {name: examples for name, (examples, _) in BANKS.items()}
DETAILS = {name: details for name, (_, details) in BANKS.items()}


def judge(scorers, **changes):
    arguments = {"test": TEST, "details": DETAILS, "task": FRAUD, **PERIOD, **changes}
    rows = judge_days(scorers, seed=7, method="fed_avg", **arguments)
    assert {(row.seed, row.method) for row in rows} <= {(7, "fed_avg")}
    table = {(r.model, r.scope, r.institution, r.metric): r for r in rows}
    assert len(table) == len(rows)
    return table


def right(x):
    return x[:, 0]


def recall_of_rows(names, weights):
    """Share of the frauds' weights among each day's 100 highest scores."""
    found = total = 0.0
    columns = [
        np.concatenate(parts)
        for parts in zip(
            *(
                (
                    TEST[n]["x"][:, 0],
                    TEST[n]["y"][:, 0] * weights(DETAILS[n]),
                    DETAILS[n].day,
                )
                for n in names
            ),
            strict=True,
        )
    ]
    score, value, day = columns
    for number in range(10, 13):
        on_day = np.flatnonzero(day == number)
        found += value[on_day[np.argsort(-score[on_day])[:100]]].sum()
        total += value[on_day].sum()
    return found / total


@pytest.mark.parametrize(
    ("scope", "institution", "names"),
    [
        ("pooled", "", ("bank_1", "bank_2")),
        ("own", "bank_1", ("bank_1",)),
        ("own", "bank_2", ("bank_2",)),
        ("others", "bank_1", ("bank_2",)),
        ("others", "bank_2", ("bank_1",)),
    ],
)
def test_recalls_equal_those_of_the_rows(scope, institution, names):
    values = judge({"global": right})
    for metric, weights in (
        ("recall_at_100_alerts", lambda details: np.ones(len(details.day))),
        ("amount_recall_at_100_alerts", lambda details: details.amount),
    ):
        row = values["global", scope, institution, metric]
        assert row.value == pytest.approx(recall_of_rows(names, weights), abs=0.02)


def test_cards_of_all_institutions_compete_for_the_same_checks():
    values = judge({"global": right})
    metric = "card_precision_at_100"
    pooled = values["global", "pooled", "", metric].value
    own = [values["global", "own", name, metric].value for name in TEST]
    assert values["global", "others", "bank_1", metric].value == own[1]
    assert max(own) < pooled < sum(own)


def test_an_institutions_model_is_judged_on_its_own_the_others_and_all_rows():
    values = judge({"bank_2": right})
    assert {key[:3] for key in values} == {
        ("bank_2", "pooled", ""),
        ("bank_2", "own", "bank_2"),
        ("bank_2", "others", "bank_2"),
    }


def test_a_single_institution_has_no_others():
    name = "bank_1"
    values = judge(
        {"global": right}, test={name: TEST[name]}, details={name: DETAILS[name]}
    )
    for metric in (*FRAUD.payment_metrics, *FRAUD.card_metrics):
        row = values["global", "others", name, metric.name]
        assert (row.value, row.reason) == (None, "The table has no rows.")


def test_tasks_without_days_have_no_rows():
    assert judge({"global": right}, task=RISK) == {}
    payments_only = dataclasses.replace(FRAUD, card_metrics=())
    values = judge({"global": right}, task=payments_only)
    assert {key[3] for key in values} == {m.name for m in FRAUD.payment_metrics}


def test_missing_details_are_refused():
    with pytest.raises(ValueError, match=r"`details` must be of .*\], got \[\]"):
        judge({"global": right}, details={})
