"""A method's guarantees in `summary.json`: the worst first, each beside it."""

import pytest

from tff_finance.evaluation.privacy_summary import summarize_privacy
from tff_finance.records.privacy_row import PrivacyRow


def row(institution, seed, **options):
    defaults = {
        "method": "fed_avg_dp_sgd",
        "model": "global",
        "unit": "record",
        "neighbouring": "add_or_remove_one",
        "population": 100,
        "epsilon": 4.0,
        "delta": 1e-5,
        "accountant": "pld",
        "against": "server,institutions,outsiders",
        "mechanism": "poisson_sampled_gaussian",
        "noise_multiplier": 1.5,
        "sampling_probability": 0.25,
        "steps": 40,
        "l2_clip_norm": 1.0,
        "unit_in_words": "per row",
    }
    return PrivacyRow(seed=seed, institution=institution, **defaults | options)


def test_nothing_promised_is_none():
    assert summarize_privacy([]) is None


def test_the_worst_of_institutions_and_seeds_stands_first():
    summary = summarize_privacy(
        [
            row("a", 0, epsilon=3.0, delta=2e-6),
            row("b", 0, epsilon=3.5, accountant="rdp", not_covered="x\ny"),
            row("a", 1, epsilon=3.2, delta=2e-6, steps=41, not_covered="y\nz"),
            row("b", 1, epsilon=2.0),
        ]
    )
    assert summary
    assert (summary["epsilon"], summary["delta"]) == (3.5, 1e-5)
    assert (summary["unit"], summary["neighbouring"]) == (
        "record",
        "add_or_remove_one",
    )
    assert summary["unit_in_words"] == "per row"
    assert summary["accountant"] == "pld, rdp"
    assert summary["not_covered"] == ["x", "y", "z"]
    assert summary["institutions"]["a"] == {
        "epsilon": 3.2,
        "delta": 2e-6,
        "population": 100,
        "noise_multiplier": 1.5,
        "sampling_probability": 0.25,
        "steps": [40, 41],
        "l2_clip_norm": 1.0,
        "target_epsilon": None,
        "least_honest": None,
        "most_rows": None,
    }
    assert summary["institutions"]["b"]["epsilon"] == 3.5


def across(epsilon, delta, accountant="pld"):
    return {
        "across_epsilon": epsilon,
        "across_delta": delta,
        "across_accountant": accountant,
    }


def test_the_worst_over_seeds_of_all_institutions_together():
    both = [row(name, 0, **across(5.5, 2e-6)) for name in ("a", "b")]
    both += [row(name, 1, **across(5.2, 1e-5, "rdp")) for name in ("a", "b")]
    summary = summarize_privacy(both)
    assert summary
    assert summary["across_institutions"] == {
        "epsilon": 5.5,
        "delta": 1e-5,
        "accountant": "pld, rdp",
    }


@pytest.mark.parametrize("known", [{}, across(5.5, 1e-5)])
def test_without_a_bound_of_all_together_there_is_none(known):
    """As in records of an earlier version, if only of some seeds."""
    summary = summarize_privacy([row("a", 0, **known), row("a", 1)])
    assert summary
    assert summary["across_institutions"] is None


def test_only_adversaries_of_all_guarantees_are_named():
    summary = summarize_privacy(
        [row("a", 0, against="outsiders,institutions"), row("b", 0)]
    )
    assert summary
    assert summary["against"] == ["institutions", "outsiders"]


@pytest.mark.parametrize(
    "other", [{"unit": "customer"}, {"neighbouring": "replace_one"}]
)
def test_epsilons_without_a_common_scale_are_refused(other):
    with pytest.raises(ValueError, match="`rows` must be of one unit and relation"):
        summarize_privacy([row("a", 0), row("a", 1, **other)])
