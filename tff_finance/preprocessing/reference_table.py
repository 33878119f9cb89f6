"""A synthetic table of unlabelled, encoded rows, which nobody's customers are in.

Institutions that exchange predictions need rows to predict on. These are drawn from
a normal distribution with the mean and covariance of all institutions' encoded
training rows, of which the server gets sums only; columns of 0 and 1 are cut off so
that as many are 1 as at the institutions. No row is anybody's. Sums are in the clear,
and no differential privacy is promised.
"""

import collections
import dataclasses
import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_federated as tff
from scipy.stats import norm

from tff_finance import checks
from tff_finance.institutions.examples import Examples
from tff_finance.runtime import attendance

_RAREST = 1e-12  # share of ones that a cutoff is computed for


@dataclasses.dataclass(frozen=True, kw_only=True)
class Moments:
    """Of encoded rows of all institutions.

    Attributes:
        rows: Number of rows.
        sums: Of each column, float64[features].
        products: Of each pair of columns, summed, float64[features, features].
    """

    rows: int
    sums: np.ndarray
    products: np.ndarray

    @property
    def mean(self) -> np.ndarray:
        """Of each column, float64[features]."""
        return self.sums / self.rows

    @property
    def covariance(self) -> np.ndarray:
        """Division by the number of rows, float64[features, features]."""
        return self.products / self.rows - np.outer(self.mean, self.mean)

    @property
    def binary(self) -> np.ndarray:
        """Columns of 0 and 1 only, bool[features]."""
        # Only there each value is its own square, and sums of them are exact.
        return np.diag(self.products) == self.sums


def federated_moments(tables: Sequence[Examples]) -> Moments:
    """Sums the moments of all institutions' rows without pooling one.

    Args:
        tables: One encoded table per institution; training rows.

    Returns:
        The moments; equal to those of the pooled rows.

    Raises:
        ValueError: If there are no rows.
    """
    datasets = [
        tf.data.Dataset.from_tensors(
            collections.OrderedDict(x=table["x"], institution=table["institution"])
        )
        for table in tables
    ]
    with attendance.everyone_needed("the reference table"):
        sums = build_moments(tables[0]["x"].shape[1])(datasets)
    if not int(sums["rows"]):
        raise ValueError("`tables` have no rows.")
    return Moments(
        rows=int(sums["rows"]),
        sums=np.asarray(sums["sums"]),
        products=np.asarray(sums["products"]),
    )


@functools.cache  # traced once for all seeds
def build_moments(num_features: int) -> tff.Computation:
    """Builds `<{X*}@CLIENTS> -> <rows, sums, products>@SERVER`.

    `X`, one institution's rows: `OrderedDict(x=float32[n, features],
    institution=str)`; the results as in `Moments`, int64 and float64.

    Args:
        num_features: Width of the tables.

    Returns:
        The computation.
    """
    rows_type = tff.SequenceType(
        tff.to_type(
            collections.OrderedDict(
                x=(np.float32, [None, num_features]), institution=np.str_
            )
        )
    )

    @tff.tensorflow.computation(rows_type)
    def of_institution(dataset: Any) -> Any:
        x = tf.cast(dataset.get_single_element()["x"], tf.float64)
        return collections.OrderedDict(
            rows=tf.shape(x, tf.int64)[0],
            sums=tf.reduce_sum(x, axis=0),
            products=tf.matmul(x, x, transpose_a=True),
        )

    @tff.federated_computation(tff.FederatedType(rows_type, tff.CLIENTS))
    def of_all(data: Any) -> Any:
        return tff.federated_sum(tff.federated_map(of_institution, data))

    return of_all


def draw_reference_table(
    moments: Moments, *, rows: int, rng: np.random.Generator
) -> np.ndarray:
    """Draws rows that look like all institutions' together.

    Columns of one category may be 1 in none or several of them: as far as pairs of
    columns say nothing of it, rows are independent of what real ones look like.

    Args:
        moments: Of encoded rows.
        rows: How many to draw.
        rng: Source of all randomness.

    Returns:
        float32[rows, features].
    """
    checks.check_at_least("rows", rows, 1)
    drawn = rng.multivariate_normal(
        moments.mean, moments.covariance, size=rows, method="eigh"
    )
    deviation = np.sqrt(np.maximum(np.diag(moments.covariance), 0))
    # Above it lies the share of ones; everything where that is 1, nothing where 0.
    share = np.clip(moments.mean, _RAREST, 1 - _RAREST)
    cutoff = moments.mean + deviation * norm.isf(share)
    cut = np.where(deviation > 0, drawn > cutoff, moments.mean > 0)
    return np.where(moments.binary, cut, drawn).astype(np.float32)
