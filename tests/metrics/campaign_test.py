"""Campaign metrics against NumPy on pooled rows, and numbers worked by hand."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit

from tests.metrics.rows import logit_values, ranked, within
from tff_finance.metrics import campaign, derived
from tff_finance.metrics.accumulate import histogram_from_scores
from tff_finance.metrics.campaign import BestContact, CampaignEconomics
from tff_finance.metrics.score_histogram import ScoreHistogram
from tff_finance.metrics.values import Undefined

tables = st.lists(st.tuples(logit_values, st.integers(0, 1)), min_size=1, max_size=40)
ECONOMICS = CampaignEconomics(profit_per_response=8, cost_per_contact=0.5)


def columns(table):
    rows = np.array(table, np.float64).reshape(-1, 2)
    return rows[:, 0], rows[:, 1]


def histogram_of(table):
    return histogram_from_scores(*columns(table))


@settings(deadline=None)
@given(tables, st.data())
def test_values_lie_between_those_of_the_orders_of_tied_rows(table, data):
    contacts = data.draw(st.integers(1, len(table)))
    contacted = contacts / len(table)
    logits, labels = columns(table)
    histogram = histogram_of(table)
    responses = [
        labels[ranked(logits, labels, positives_first=first)[:contacts]].sum()
        for first in (True, False)
    ]
    rate = campaign.response_rate(histogram, contacted=contacted)
    assert within(rate, [r / contacts for r in responses])
    if labels.any():
        captured = campaign.capture(histogram, contacted=contacted)
        assert within(captured, [r / labels.sum() for r in responses])
    profit = campaign.profit(histogram, contacted=contacted, economics=ECONOMICS)
    assert within(profit, [(8 * r - 0.5 * contacts) / len(table) for r in responses])


def test_realistic_scores():
    random = np.random.default_rng(1)
    truth = random.normal(-2.4, 1.3, 40_000)
    labels = (random.random(40_000) < expit(truth)).astype(float)
    logits = truth + random.normal(0, 0.6, 40_000)
    histogram = histogram_from_scores(logits, labels)
    top = labels[np.argsort(-logits)[:4000]]
    values = {m.name: m.compute(histogram) for m in campaign.campaign_metrics()}
    assert values["response_rate_at_10"] == pytest.approx(top.mean(), abs=1e-3)
    assert values["capture_at_10"] == pytest.approx(top.sum() / labels.sum(), abs=1e-3)
    assert values["profit_at_10"] == pytest.approx(top.mean() - 0.1, abs=1e-3)
    # What ties them together.
    lift = derived.lift(histogram, top=0.1)
    assert values["capture_at_10"] == pytest.approx(0.1 * lift)
    assert values["response_rate_at_10"] == pytest.approx(lift * labels.mean())


def test_golden():
    # 4 of 10 from the top: 1 response, then 3 of 4 tied ones with 2 responses.
    table = [(3, 1)] + [(1, 1), (1, 0)] * 2 + [(-1, 0)] * 4 + [(-1, 1)]
    histogram = histogram_of(table)
    assert campaign.response_rate(histogram, contacted=0.4) == 2.5 / 4
    assert campaign.capture(histogram, contacted=0.4) == 2.5 / 4
    profit = campaign.profit(histogram, contacted=0.4, economics=ECONOMICS)
    assert profit == pytest.approx((8 * 2.5 - 0.5 * 4) / 10)


def test_everybody_and_ties_are_chance():
    table = [(0.5, 1)] + [(0.5, 0)] * 3
    assert campaign.response_rate(histogram_of(table), contacted=0.3) == 0.25
    assert campaign.capture(histogram_of(table), contacted=0.3) == pytest.approx(0.3)
    assert campaign.capture(histogram_of(table), contacted=1) == 1


@settings(deadline=None)
@given(tables, st.integers(1, 40), st.integers(0, 40))
def test_no_threshold_earns_more_than_the_best(table, earned, cost):
    economics = CampaignEconomics(profit_per_response=earned, cost_per_contact=cost)
    logits, labels = columns(table)
    histogram = histogram_of(table)
    best = campaign.best_contact(histogram, economics=economics)
    at_least = np.unique(np.floor(np.clip(logits, -16, 15.99) * 128) / 128)
    clipped = np.clip(logits, -16, 15.99)
    profits = [0.0] + [
        ((labels * earned - cost)[clipped >= threshold]).sum() / len(table)
        for threshold in at_least
    ]
    assert best.profit == pytest.approx(max(profits))
    if best.contacted:
        at_best = campaign.profit(
            histogram, contacted=best.contacted, economics=economics
        )
        assert at_best == pytest.approx(best.profit)


def test_best_contact_golden():
    # Profits by threshold: 0, 7.5, 15 - 0.5, then less and less, of 6 rows.
    table = [(3, 1), (2, 1), (1, 0), (0, 0), (-1, 0), (-2, 0)]
    best = campaign.best_contact(histogram_of(table), economics=ECONOMICS)
    assert best == BestContact(contacted=2 / 6, profit=15 / 6)
    dear = CampaignEconomics(profit_per_response=1, cost_per_contact=2)
    assert campaign.best_contact(histogram_of(table), economics=dear) == BestContact(
        contacted=0.0, profit=0.0
    )


@settings(deadline=None)
@given(tables, tables)
def test_institutions_sums_give_the_pooled_values(left, right):
    total, pooled = histogram_of(left) + histogram_of(right), histogram_of(left + right)
    for metric in campaign.campaign_metrics():
        assert metric.compute(total) == metric.compute(pooled)
    best = [campaign.best_contact(h, economics=ECONOMICS) for h in (total, pooled)]
    assert best[0] == best[1]


def test_names_and_directions():
    metrics = campaign.campaign_metrics(ECONOMICS)
    assert [m.name for m in metrics] == [
        "response_rate_at_10",
        "capture_at_10",
        "capture_at_20",
        "profit_at_10",
    ]
    assert all(m.higher_is_better for m in metrics)
    assert "8 for a response, 0.5 less for a contact" in metrics[-1].definition


def test_what_does_not_exist_says_why():
    nothing = Undefined("The table has no rows.")
    for metric in campaign.campaign_metrics():
        assert metric.compute(ScoreHistogram.zero()) == nothing
    best = campaign.best_contact(ScoreHistogram.zero(), economics=ECONOMICS)
    assert best == nothing
    silent = histogram_of([(1, 0)] * 3)
    values = {m.name: m.compute(silent) for m in campaign.campaign_metrics()}
    assert values["capture_at_10"] == Undefined("All 3 rows are negative.")
    assert values["response_rate_at_10"] == 0
    assert values["profit_at_10"] == pytest.approx(-0.1)


@pytest.mark.parametrize("contacted", [0, -0.1, 1.1, math.nan])
def test_contacted_fractions_are_checked(contacted):
    for metric in (campaign.response_rate, campaign.capture):
        with pytest.raises(ValueError, match="`contacted` must be"):
            metric(ScoreHistogram.zero(), contacted=contacted)
    with pytest.raises(ValueError, match="`contacted` must be"):
        campaign.profit(ScoreHistogram.zero(), contacted=contacted, economics=ECONOMICS)


def test_economics_are_checked():
    with pytest.raises(ValueError, match="`profit_per_response` must be positive"):
        CampaignEconomics(profit_per_response=0, cost_per_contact=1)
    with pytest.raises(ValueError, match="`cost_per_contact` must be at least 0"):
        CampaignEconomics(profit_per_response=1, cost_per_contact=-1)
