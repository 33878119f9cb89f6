"""Partitions at random: by label skew, by size skew, or with no skew at all.

Skews as in Li et al. (2022), "Federated Learning on Non-IID Data Silos: An
Experimental Study", https://arxiv.org/abs/2102.02079, section 4.
"""

import dataclasses
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from tff_finance import checks
from tff_finance.institutions.text_form import form, number_text
from tff_finance.institutions.units import Units

DEFAULT_MIN_ROWS = 10
"""Least rows of an institution where a skew is drawn, as in Li et al. (2022)."""

_MOST_DRAWS = 1000


@dataclasses.dataclass(frozen=True)
class LabelDirichlet:
    """Each label's rows are dealt out in shares drawn from Dirichlet(alpha).

    Shares are drawn again while an institution has fewer than `min_rows` rows.

    Attributes:
        alpha: Concentration: near 0 each label is at one institution, at infinity
            all institutions have the same share of each label.
        institutions: How many.
        min_rows: Least rows of an institution.
    """

    alpha: float
    institutions: int
    _: dataclasses.KW_ONLY
    min_rows: int = DEFAULT_MIN_ROWS

    def __post_init__(self) -> None:
        """Refuses settings that make no sense."""
        checks.check_positive("alpha", self.alpha)
        _check_counts(self.institutions, self.min_rows)

    def __str__(self) -> str:
        """The text form."""
        return _skew_text("label_dirichlet", self.alpha, self)

    def assign(
        self, units: Units, rng: np.random.Generator
    ) -> tuple[list[str], NDArray[np.int64]]:
        """See `Partition`."""
        if units.labels is None:
            raise ValueError(
                f"`label` must name a column for the partition {str(self)!r}."
            )
        of_label = [
            np.flatnonzero(units.labels == value) for value in np.unique(units.labels)
        ]

        def draw() -> NDArray[np.int64]:
            places = np.empty(len(units), np.int64)
            for members in of_label:
                shares = _dirichlet(self.alpha, self.institutions, rng)
                places[members] = _dealt(units.rows[members], shares, rng)
            return places

        return _names(self.institutions), _first_large_enough(draw, units, self)


@dataclasses.dataclass(frozen=True)
class SizeDirichlet:
    """Sizes are drawn from Dirichlet(alpha); who gets which row is chance.

    Sizes are drawn again while an institution has fewer than `min_rows` rows.

    Attributes:
        alpha: Concentration: near 0 one institution has nearly all rows, at
            infinity all have equally many.
        institutions: How many.
        min_rows: Least rows of an institution.
    """

    alpha: float
    institutions: int
    _: dataclasses.KW_ONLY
    min_rows: int = DEFAULT_MIN_ROWS

    def __post_init__(self) -> None:
        """Refuses settings that make no sense."""
        checks.check_positive("alpha", self.alpha)
        _check_counts(self.institutions, self.min_rows)

    def __str__(self) -> str:
        """The text form."""
        return _skew_text("size_dirichlet", self.alpha, self)

    def assign(
        self, units: Units, rng: np.random.Generator
    ) -> tuple[list[str], NDArray[np.int64]]:
        """See `Partition`."""

        def draw() -> NDArray[np.int64]:
            shares = _dirichlet(self.alpha, self.institutions, rng)
            return _dealt(units.rows, shares, rng)

        return _names(self.institutions), _first_large_enough(draw, units, self)


@dataclasses.dataclass(frozen=True)
class SizePowerLaw:
    """Sizes follow a power law; who gets which row is chance.

    Attributes:
        exponent: The i-th institution has `i ** -exponent` times as many rows as
            the first; 0 makes all equal.
        institutions: How many.
        min_rows: Least rows of an institution; a smaller one is refused.
    """

    exponent: float
    institutions: int
    _: dataclasses.KW_ONLY
    min_rows: int = DEFAULT_MIN_ROWS

    def __post_init__(self) -> None:
        """Refuses settings that make no sense."""
        checks.check_at_least("exponent", self.exponent, 0)
        _check_counts(self.institutions, self.min_rows)

    def __str__(self) -> str:
        """The text form."""
        return _skew_text("size_power_law", self.exponent, self)

    def assign(
        self, units: Units, rng: np.random.Generator
    ) -> tuple[list[str], NDArray[np.int64]]:
        """See `Partition`."""
        sizes = np.arange(1, self.institutions + 1) ** -float(self.exponent)
        places = _dealt(units.rows, sizes / sizes.sum(), rng)
        return _names(self.institutions), places


@dataclasses.dataclass(frozen=True)
class AtRandom:
    """Rows are dealt out at random, equally many to each.

    Attributes:
        institutions: How many.
        min_rows: Least rows of an institution; a smaller one is refused.
    """

    institutions: int
    _: dataclasses.KW_ONLY
    min_rows: int = 1

    def __post_init__(self) -> None:
        """Refuses settings that make no sense."""
        _check_counts(self.institutions, self.min_rows)

    def __str__(self) -> str:
        """The text form."""
        return form(
            "random",
            str(self.institutions),
            min_rows=None if self.min_rows == 1 else str(self.min_rows),
        )

    def assign(
        self, units: Units, rng: np.random.Generator
    ) -> tuple[list[str], NDArray[np.int64]]:
        """See `Partition`."""
        shares = np.full(self.institutions, 1 / self.institutions)
        return _names(self.institutions), _dealt(units.rows, shares, rng)


_Drawn = LabelDirichlet | SizeDirichlet


def _check_counts(institutions: int, min_rows: int) -> None:
    checks.check_at_least("institutions", institutions, 1)
    checks.check_at_least("min_rows", min_rows, 1)


def _skew_text(kind: str, skew: float, partition: _Drawn | SizePowerLaw) -> str:
    default = partition.min_rows == DEFAULT_MIN_ROWS
    return form(
        kind,
        number_text(skew),
        str(partition.institutions),
        min_rows=None if default else str(partition.min_rows),
    )


def _names(institutions: int) -> list[str]:
    """bank_1, ...; with leading zeros, so that order of names is order of banks."""
    digits = len(str(institutions))
    return [f"bank_{i:0{digits}}" for i in range(1, institutions + 1)]


def _dirichlet(
    alpha: float, institutions: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Shares that add up to 1, whatever a small alpha underflows to."""
    while True:
        shares = rng.dirichlet(np.full(institutions, alpha))
        if np.isfinite(shares).all() and shares.sum() > 0:
            return shares


def _dealt(
    rows: NDArray[np.int64], shares: NDArray[np.float64], rng: np.random.Generator
) -> NDArray[np.int64]:
    """Deals units out in random order so that rows come closest to the shares.

    Args:
        rows: Rows of each unit.
        shares: Of each institution, adding up to 1.
        rng: Decides the order of the units.

    Returns:
        Each unit's institution.
    """
    order = rng.permutation(len(rows))
    ends = np.cumsum(rows[order])
    middles = ends - rows[order] / 2
    edges = np.cumsum(shares)[:-1] * rows.sum()
    places = np.empty(len(rows), np.int64)
    places[order] = np.searchsorted(edges, middles, side="right")
    return places


def _first_large_enough(
    draw: Callable[[], NDArray[np.int64]], units: Units, partition: _Drawn
) -> NDArray[np.int64]:
    """The first draw that leaves every institution enough rows."""
    best = -1
    for _ in range(_MOST_DRAWS):
        places = draw()
        sizes = np.bincount(places, units.rows, minlength=partition.institutions)
        if sizes.min() >= partition.min_rows:
            return places
        best = max(best, int(sizes.min()))
    raise ValueError(
        f"`partition` {str(partition)!r} gave an institution fewer than "
        f"{partition.min_rows} rows in each of {_MOST_DRAWS} draws, at best {best} of "
        f"{units.rows.sum()}: raise alpha, deal out to fewer institutions, or lower "
        "`min_rows`."
    )
