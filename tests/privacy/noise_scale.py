"""Whether noise has the scale that is stated: 2/3 and 3/2 of it never pass."""

import numpy as np
import scipy.stats

# Of a true standard deviation: once in a million.
FALSE_ALARM = 1e-6


def has_stddev(values, stddev):
    """A two-sided chi-square test of normal numbers with mean 0."""
    statistic = np.sum(np.square(values)) / stddev**2
    low, high = scipy.stats.chi2.ppf(
        [FALSE_ALARM / 2, 1 - FALSE_ALARM / 2], np.size(values)
    )
    return low < statistic < high


def assert_stddev(values, stddev):
    """Fails for another scale, and where values are too few to tell."""
    law = scipy.stats.chi2(np.size(values))
    low, high = law.ppf([FALSE_ALARM / 2, 1 - FALSE_ALARM / 2])
    assert law.sf(low * (3 / 2) ** 2) < FALSE_ALARM, "too few numbers for 2/3"
    assert law.cdf(high * (2 / 3) ** 2) < 10 * FALSE_ALARM, "too few numbers for 3/2"
    assert has_stddev(values, stddev)
    assert scipy.stats.kstest(np.ravel(values) / stddev, "norm").pvalue > FALSE_ALARM
