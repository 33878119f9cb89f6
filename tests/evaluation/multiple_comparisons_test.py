"""Holm's p-values against published ones; the family-wise error by simulation."""

import math

import numpy as np
import pytest
import scipy.stats

from tff_finance.evaluation.intervals import t_interval
from tff_finance.evaluation.multiple_comparisons import holm, simultaneous, t_test


def test_published_example():
    """From the documentation of pingouin.multicomp, after Holm (1979)."""
    p = [0.50, 0.003, 0.32, 0.054, 0.0003]
    assert holm(p) == pytest.approx([0.64, 0.012, 0.64, 0.162, 0.0015], abs=1e-12)


def test_adjusted_p_values_never_pass_1_nor_fall():
    """By hand: 3 x 0.01; 2 x 0.02 = 0.04; 0.03 is raised to the 0.04 before it."""
    assert holm([0.03, 0.01, 0.02]) == pytest.approx([0.04, 0.03, 0.04])
    assert holm([0.9, 0.8]) == [1, 1]
    assert holm([0.04]) == [0.04]
    assert holm([]) == []


@pytest.mark.parametrize("wrong", [-0.1, 1.1, math.nan])
def test_holm_refuses_what_is_no_probability(wrong):
    with pytest.raises(ValueError, match=f"`p_values` .*{wrong}"):
        holm([0.5, wrong])


@pytest.mark.parametrize("n", [2, 5, 30])
def test_t_test_equal_to_scipy(n):
    values = np.random.default_rng(n).normal(0.3, size=n)
    assert t_test(list(values)) == pytest.approx(
        scipy.stats.ttest_1samp(values, 0).pvalue, rel=1e-12
    )


def test_t_test_needs_variation_and_two_seeds():
    assert t_test([0.1 + 0.2, 0.3]) is None
    with pytest.raises(ValueError, match=r"`differences` must be at least 2 .*1"):
        t_test([0.5])


def test_family():
    small, large = [0.01, -0.02, 0.015], [0.1, 0.12, 0.11]
    results = simultaneous(
        {"a": small, "b": large, "undefined": None, "equal": [0.5, 0.5, 0.5]},
        family="all four",
    )
    assert list(results) == ["a", "b", "equal"]
    p_a, p_b = t_test(small), t_test(large)
    # Sorted: b, a, and the two without a test as 1.
    assert results["b"]["p_holm"] == pytest.approx(4 * p_b)
    assert results["a"]["p_holm"] == min(1, 3 * p_a) == 1
    assert results["b"] | {"p_holm": 0} == {
        "family": "all four",
        "size": 4,
        "ci95": list(t_interval(large, confidence=1 - 0.05 / 4)),
        "p_value": p_b,
        "p_holm": 0,
    }
    assert results["equal"] == {
        "family": "all four",
        "size": 4,
        "ci95": [0.5, 0.5],
        "p_value": None,
        "p_holm": None,
        "reason": "equal differences under all seeds",
    }


def test_a_family_of_one_is_the_plain_test():
    values = [0.01, 0.02, 0.04]
    result = simultaneous({"only": values}, family="one")["only"]
    assert result["ci95"] == pytest.approx(list(t_interval(values)))
    assert result["p_holm"] == result["p_value"]


def test_family_wise_error_is_5_percent():
    """Six gains of nothing; some correlated, as methods under one seed are."""
    random, families = np.random.default_rng(0), 400
    any_plain = any_interval = any_p = 0
    for _ in range(families):
        common = random.normal(size=5)
        gains = {k: common + 2 * random.normal(size=5) for k in range(6)}
        results = simultaneous(gains, family="noise").values()
        any_plain += any(r["p_value"] < 0.05 for r in results)
        any_p += any(r["p_holm"] < 0.05 for r in results)
        any_interval += any(r["ci95"][0] > 0 or r["ci95"][1] < 0 for r in results)
    limit = 0.05 + 3 * math.sqrt(0.05 * 0.95 / families)
    assert any_p / families < limit
    assert any_interval == any_p  # Holm's first step is Bonferroni's
    assert any_plain / families > 2 * limit
