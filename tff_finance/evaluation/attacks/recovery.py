"""How much of the true rows an attacker's rows have right."""

import dataclasses
from typing import NamedTuple

import numpy as np
import scipy.optimize
from numpy.typing import NDArray

from tff_finance import checks
from tff_finance.evaluation.attacks.feature_layout import FeatureLayout

# Of two wrong numbers neither is taken for nearer beyond this many deviations.
_FAR = 3.0
_DRAWS = 5


class Recovery(NamedTuple):
    """Which features of which rows an attacker got right.

    Attributes:
        features: bool[rows, features]: numbers within the tolerance, indicators and
            categories exactly.
    """

    features: NDArray[np.bool_]

    @property
    def share(self) -> float:
        """Of all features of all rows."""
        return float(self.features.mean())

    @property
    def records(self) -> float:
        """Share of rows with every feature right."""
        return float(self.features.all(axis=1).mean())


@dataclasses.dataclass(frozen=True, kw_only=True)
class Judge:
    """Compares reconstructed with true rows, whose order the attacker can't know.

    Attributes:
        layout: Of the encoded columns.
        means: Of the columns over all institutions' training rows, float[columns],
            which the sums behind the shared encoder give; of a code's column that is
            its frequency.
        tolerance: In standard deviations, within which a number counts as recovered.
    """

    layout: FeatureLayout
    means: NDArray[np.float64]
    tolerance: float = 0.1

    def __post_init__(self) -> None:
        """Refuses a tolerance that is not positive."""
        checks.check_positive("tolerance", self.tolerance)

    @property
    def typical_row(self) -> NDArray[np.float64]:
        """Means of numbers, the most frequent indicators and categories."""
        return self.layout.projected(np.asarray(self.means)[np.newaxis])[0]

    def recovery(self, truth: NDArray, guesses: NDArray) -> Recovery:
        """Judges guesses, each matched with one true row at most, the nearest.

        Args:
            truth: True rows, float[n, columns].
            guesses: Reconstructed rows, float[m, columns], of any m; made possible
                first. Rows that are not finite, or missing, are guessed as typical.

        Returns:
            What was recovered.
        """
        finite = guesses[np.isfinite(guesses).all(axis=1)]
        missing = max(0, len(truth) - len(finite))
        rows = np.concatenate(
            [self.layout.projected(finite), np.tile(self.typical_row, (missing, 1))]
        )
        errors = self.layout.errors(truth[:, np.newaxis], rows[np.newaxis])
        capped = np.minimum(errors, _FAR)
        numbers = len(self.layout.numeric)
        cost = capped[..., :numbers].sum(-1) / _FAR + capped[..., numbers:].sum(-1)
        # By distance, not by what counts as recovered, which would favour luck.
        true_rows, guessed_rows = scipy.optimize.linear_sum_assignment(cost)
        matched = errors[true_rows, guessed_rows]
        limit = np.full(matched.shape[1], 0.5)
        limit[:numbers] = self.tolerance
        return Recovery(matched <= limit)

    def without_information(self, truth: NDArray, *, seed: int = 0) -> float:
        """Share of features right without any information, however guessed best.

        Guessed are typical rows; rows whose codes are drawn by frequency, of which
        matching finds some a true row that fits; and rows whose numbers are drawn
        too. An attack that knows nothing is matched as they are.

        Args:
            truth: True rows, float[n, columns].
            seed: Of the draws, of which the mean is taken.

        Returns:
            The share of the best way to guess.
        """
        generator = np.random.default_rng(seed)
        drawn = [
            [self.recovery(truth, rows).share for rows in self._drawn(truth, generator)]
            for _ in range(_DRAWS)
        ]
        return float(np.mean(drawn, axis=0).max())

    def _drawn(
        self, truth: NDArray, generator: np.random.Generator
    ) -> list[NDArray[np.float64]]:
        """Typical rows, and random ones, in numbers of the true rows."""
        typical = np.tile(self.typical_row, (len(truth), 1))
        codes = typical.copy()
        for i in self.layout.indicators:
            codes[:, i] = generator.uniform(size=len(truth)) < self.means[i]
        for group in self.layout.groups:
            shares = np.maximum(self.means[list(group)], 0)
            codes[:, list(group)] = generator.multinomial(
                1, shares / shares.sum(), size=len(truth)
            )
        all_drawn = codes.copy()
        numbers = list(self.layout.numeric)
        all_drawn[:, numbers] += generator.normal(size=[len(truth), len(numbers)])
        return [typical, codes, all_drawn]
