"""What encoded columns mean, as an attacker who has the shared encoder knows it."""

import dataclasses
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:  # it brings TensorFlow, which arithmetic on rows doesn't need
    from tff_finance.preprocessing.encoder import Encoder

_HALF = 0.5


@dataclasses.dataclass(frozen=True, kw_only=True)
class FeatureLayout:
    """Which encoded columns make up one feature.

    Attributes:
        numeric: Columns of standardised numbers.
        indicators: Columns that are 0 or 1 by themselves.
        groups: Columns of which exactly one is 1, for each categorical feature.
    """

    numeric: tuple[int, ...]
    indicators: tuple[int, ...]
    groups: tuple[tuple[int, ...], ...]

    @classmethod
    def of_encoder(cls, encoder: "Encoder") -> "FeatureLayout":
        """The layout of an encoder's columns."""
        numeric, indicators = [], []
        groups: dict[str, list[int]] = {}
        categorical = {column.name for column in encoder.contract.categorical_columns}
        for i, (name, column) in enumerate(
            zip(encoder.feature_names, encoder.feature_columns, strict=True)
        ):
            if column in categorical:
                groups.setdefault(column, []).append(i)
            elif name == column:
                numeric.append(i)
            else:
                indicators.append(i)
        return cls(
            numeric=tuple(numeric),
            indicators=tuple(indicators),
            groups=tuple(tuple(group) for group in groups.values()),
        )

    @property
    def num_columns(self) -> int:
        """Encoded columns."""
        return len(self.numeric) + len(self.indicators) + sum(map(len, self.groups))

    @property
    def num_features(self) -> int:
        """Features: numbers, indicators and categories."""
        return len(self.numeric) + len(self.indicators) + len(self.groups)

    def projected(self, rows: NDArray) -> NDArray:
        """The nearest possible rows: indicators 0 or 1, one category of each group."""
        nearest = np.array(rows, np.float64)
        indicators = list(self.indicators)
        nearest[:, indicators] = nearest[:, indicators] >= _HALF
        for group in self.groups:
            columns = list(group)
            largest = nearest[:, columns].argmax(axis=1)
            nearest[:, columns] = np.eye(len(columns))[largest]
        return nearest

    def is_possible(
        self, rows: NDArray, *, tolerance: float | NDArray
    ) -> NDArray[np.bool_]:
        """Whether rows are such as the encoder makes, up to a tolerance.

        By this an attacker tells a row from a mixture of rows without knowing any.
        With no categorical column and no indicator, every row is possible.

        Args:
            rows: Float[n, columns].
            tolerance: Of columns that are 0 or 1; one for all rows, or float[n, 1].

        Returns:
            bool[n].
        """
        coded = [*self.indicators, *(i for group in self.groups for i in group)]
        distance = np.abs(rows - self.projected(rows))[:, coded]
        return np.isfinite(rows).all(axis=1) & (distance <= tolerance).all(axis=1)

    def errors(self, truth: NDArray, guess: NDArray) -> NDArray[np.float64]:
        """How far guesses are off, feature by feature.

        Args:
            truth: Possible rows, float[..., columns].
            guess: Possible rows; the shapes broadcast.

        Returns:
            Of numbers the absolute difference in standard deviations, of others 0
            or 1; float64[..., features].
        """
        difference = np.abs(np.asarray(truth, np.float64) - guess)
        parts = [difference[..., list(self.numeric)]]
        parts.append(np.round(difference[..., list(self.indicators)]))
        parts += [
            np.round(difference[..., list(group)].max(axis=-1, keepdims=True))
            for group in self.groups
        ]
        return np.concatenate(parts, axis=-1)
