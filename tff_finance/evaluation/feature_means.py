"""How institutions' customers differ: standardised means of their features."""

from collections.abc import Sequence

import numpy as np

from tff_finance.preprocessing.consortium import TrainingExamples
from tff_finance.records.run_rows import FeatureRow


def mean_customer(training: Sequence[TrainingExamples]) -> np.ndarray:
    """The mean of each encoded feature over all training rows, float64[features].

    0 for a number, up to rounding, and the share of rows for an indicator. An
    institution gives its row count and its sums; no row is pooled.

    Args:
        training: Encoded tables of all institutions.

    Returns:
        The means: a customer who is average in everything.
    """
    tables = [t.train["x"] for t in training]
    sums = sum(table.sum(axis=0, dtype=np.float64) for table in tables)
    return np.asarray(sums) / sum(map(len, tables))


def feature_rows(
    training: Sequence[TrainingExamples], feature_names: Sequence[str], *, seed: int
) -> list[FeatureRow]:
    """Each institution's mean of each encoded feature, standardised over all.

    An institution gives its row count, means and mean squares; no row is pooled.

    Args:
        training: Encoded tables of all institutions.
        feature_names: Names of the encoded columns, in order.
        seed: The repetition.

    Returns:
        One row per institution and feature: its mean minus the mean over all
        training rows, in standard deviations over all training rows; 0 for a
        feature that is constant.
    """
    tables = [np.asarray(t.train["x"], np.float64) for t in training]
    rows = np.array([len(table) for table in tables], np.float64)
    means = np.stack([table.mean(axis=0) for table in tables])
    squares = np.stack([np.square(table).mean(axis=0) for table in tables])
    weights = rows / rows.sum()
    overall = weights @ means
    variance = np.maximum(weights @ squares - np.square(overall), 0.0)
    # float32 columns: a variance below their rounding is that of a constant.
    constant = variance <= np.finfo(np.float32).eps * np.maximum(overall**2, 1e-30)
    standardised = np.where(
        constant, 0.0, (means - overall) / np.sqrt(np.where(constant, 1.0, variance))
    )
    return [
        FeatureRow(
            seed=seed,
            institution=examples.institution,
            feature=feature,
            mean=float(value),
        )
        for examples, values in zip(training, standardised, strict=True)
        for feature, value in zip(feature_names, values, strict=True)
    ]
