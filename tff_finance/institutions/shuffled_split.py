"""The shuffled split: train, validation and test alike but for chance."""

import dataclasses

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tff_finance.institutions.split_tables import Fractions, check_fractions, cuts
from tff_finance.institutions.text_form import form, number_text
from tff_finance.institutions.units import Units


@dataclasses.dataclass(frozen=True)
class ShuffledSplit:
    """Rows, or clusters of rows, dealt out at random.

    Attributes:
        fractions: Shares of train, validation and test.
        stratified: Whether each label is dealt out in these shares, up to one
            unit; a table of few positives then has some in each.
    """

    fractions: Fractions = (0.6, 0.2, 0.2)
    _: dataclasses.KW_ONLY
    stratified: bool = False

    def __post_init__(self) -> None:
        """Refuses fractions that are not those of a whole."""
        check_fractions(self.fractions)

    def __str__(self) -> str:
        """The text form."""
        kind = "stratified" if self.stratified else "shuffled"
        return form(kind, ",".join(map(number_text, self.fractions)))

    def places(self, units: Units, rng: np.random.Generator) -> NDArray[np.int64]:
        """See `Split`."""
        order = rng.permutation(len(units))
        if self.stratified:
            order = self._spread_labels(order, units, rng)
        middles = np.cumsum(units.rows[order]) - units.rows[order] / 2
        edges = cuts(self.fractions, int(units.rows.sum()))
        of_unit = np.empty(len(units), np.int64)
        of_unit[order] = np.searchsorted(edges, middles, side="right")
        return of_unit[units.of_row]

    def _spread_labels(
        self, order: NDArray[np.int64], units: Units, rng: np.random.Generator
    ) -> NDArray[np.int64]:
        """Orders units so that every stretch has each label in proportion."""
        if units.labels is None:
            raise ValueError(f"`label` must name a column for the split {str(self)!r}.")
        labels = pd.Series(units.labels[order]).groupby(units.labels[order])
        place = labels.cumcount().to_numpy()
        size = labels.transform("size").to_numpy()
        # Evenly spaced within each label, from a random start.
        starts = rng.random(labels.ngroups)[labels.ngroup().to_numpy()]
        return order[np.argsort((place + starts) / size, kind="stable")]
