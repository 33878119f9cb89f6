"""The synthetic population: its tables keep the contract, its labels the law."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from tff_finance.datasets.credit_contract import CREDIT_CONTRACT
from tff_finance.datasets.population import SEGMENTS, DefaultLaw, draw_customers

LAW = DefaultLaw()
LABEL = CREDIT_CONTRACT.label


def draw(rows=3_000, seed=0, law=LAW):
    rng = np.random.default_rng(seed)
    return draw_customers(rng.integers(len(SEGMENTS), size=rows), law, rng)


def calibration(table, law):
    """Score tests of intercept and slope: standard normal if `law` made the labels.

    The derivatives of the log-likelihood of `a + b * logit` at a = 0, b = 1, over
    their standard deviations.
    """
    logits = law.logits(table)
    probability = 1 / (1 + np.exp(-logits))
    surprise = table[LABEL].to_numpy() - probability
    variance = probability * (1 - probability)
    return np.array(
        [
            surprise.sum() / np.sqrt(variance.sum()),
            (surprise * logits).sum() / np.sqrt((variance * logits**2).sum()),
        ]
    )


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("segment", range(len(SEGMENTS)))
def test_every_table_keeps_the_contract(segment, seed):
    rng = np.random.default_rng(seed)
    table = draw_customers(np.full(20_000, segment), LAW, rng)
    valid = CREDIT_CONTRACT.validate(table, institution=SEGMENTS[segment])
    assert valid.shape == table.shape
    # A limit that many values sit on would be an atom that no one documented.
    for column in CREDIT_CONTRACT.numeric_columns:
        assert (table[column.name] == column.maximum).mean() < 0.001


def test_labels_follow_the_stated_probabilities():
    assert np.abs(calibration(draw(60_000), LAW)).max() < 4


@pytest.mark.parametrize("factor", [2 / 3, 3 / 2])
def test_labels_reject_another_steepness(factor):
    other = dataclasses.replace(LAW, steepness=factor * LAW.steepness)
    assert np.abs(calibration(draw(60_000), other)).max() > 10


def test_law_sees_features_only():
    table = draw()
    logits = LAW.logits(table)
    features = [column.name for column in CREDIT_CONTRACT.columns]
    assert set(table.columns) == {*features, LABEL}
    np.testing.assert_array_equal(LAW.logits(table[features]), logits)
    # Another segment, another bank, another label: the same customer.
    strangers = table.assign(**{LABEL: 1 - table[LABEL]}, segment="established")
    np.testing.assert_array_equal(LAW.logits(strangers), logits)


def test_law_judges_each_customer_alone():
    table = draw()
    order = np.random.default_rng(1).permutation(len(table))[:100]
    np.testing.assert_allclose(
        LAW.logits(table.iloc[order]), LAW.logits(table)[order], rtol=1e-12
    )


def test_steepness_and_cutoff_enter_as_in_the_formula():
    table = draw()
    risk = LAW.logits(table) / LAW.steepness + LAW.cutoff
    other = DefaultLaw(contrast=LAW.contrast, steepness=3.0, cutoff=-1.5)
    np.testing.assert_allclose(other.logits(table), 3.0 * (risk + 1.5), rtol=1e-9)


def test_directions_have_unit_length_and_differ_with_contrast():
    for contrast in (0.0, 0.3, 2.0):
        directions = DefaultLaw(contrast=contrast).directions()
        np.testing.assert_allclose(np.linalg.norm(directions, axis=1), 1, rtol=1e-12)
    cosines = [
        (DefaultLaw(contrast=c).directions() @ DefaultLaw(contrast=c).directions().T)
        for c in (0.3, 0.6, 1.2)
    ]
    pairs = np.triu_indices(len(SEGMENTS), k=1)
    assert np.all(cosines[0][pairs] > cosines[1][pairs])
    assert np.all(cosines[1][pairs] > cosines[2][pairs])


def test_without_contrast_one_rule_serves_all():
    table, one_rule = draw(), DefaultLaw(contrast=0)
    directions = one_rule.directions()
    np.testing.assert_array_equal(directions, np.broadcast_to(directions[0], (3, 7)))
    # Age decides only which rule applies.
    aged = table.assign(age=90.0 - table["age"] + 18.0)
    np.testing.assert_allclose(one_rule.logits(aged), one_rule.logits(table), rtol=1e-9)
    assert np.abs(LAW.logits(aged) - LAW.logits(table)).mean() > 0.5


def test_each_situation_has_its_own_rule():
    customers, slopes = draw(10), []
    for age, volatility in ((20.0, 0.05), (80.0, 0.05), (42.0, 1.0)):
        before = customers.assign(age=age, income_volatility=volatility)
        after = before.assign(credit_utilisation=before["credit_utilisation"] + 0.1)
        slopes.append(LAW.logits(after) - LAW.logits(before))
    # Risk rises with utilisation by the situation's weight of that sign.
    weights = LAW.directions()[:, [0]]
    assert np.ptp(weights) > 0.1
    np.testing.assert_allclose(
        slopes / weights, np.full((3, 10), slopes[0][0] / weights[0]), rtol=0.02
    )


def test_same_seed_same_table_another_seed_another():
    pd.testing.assert_frame_equal(draw(seed=5), draw(seed=5), check_exact=True)
    assert not draw(seed=5).equals(draw(seed=6))


def test_law_refuses_constants_without_meaning():
    with pytest.raises(ValueError, match="`contrast` must be at least 0"):
        DefaultLaw(contrast=-0.1)
    for steepness in (0, -1):
        with pytest.raises(ValueError, match="`steepness` must be positive"):
            DefaultLaw(steepness=steepness)


def test_amounts_of_zero_have_a_probability_of_default():
    """The contract allows them, and the law takes logarithms."""
    table = draw_customers(
        np.zeros(4, int), DefaultLaw(), np.random.default_rng(0)
    ).assign(savings_buffer=0.0, income_volatility=0.0)
    assert np.isfinite(DefaultLaw().logits(table)).all()


def test_emphasis_weighs_the_signs():
    table = draw(200)
    plain, same = DefaultLaw(), DefaultLaw(emphasis=(2.0,) * 7)
    np.testing.assert_allclose(same.logits(table), plain.logits(table), rtol=1e-9)
    only_inquiries = DefaultLaw(emphasis=(0, 0, 0, 0, 1, 0, 0))
    more = table.assign(credit_utilisation=0.0, delinquencies_24m=9, loan_to_value=1.0)
    np.testing.assert_allclose(
        only_inquiries.logits(more), only_inquiries.logits(table), rtol=1e-9
    )
    assert np.abs(plain.logits(more) - plain.logits(table)).mean() > 0.5


@pytest.mark.parametrize("emphasis", [(1.0,) * 6, (0.0,) * 7])
def test_an_emphasis_that_makes_no_sense_is_refused(emphasis):
    with pytest.raises(ValueError, match="`emphasis` must be 7 numbers, not all 0"):
        DefaultLaw(emphasis=emphasis)
