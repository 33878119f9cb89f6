"""What a study attacks: encoded rows of institutions, and what attackers know."""

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tff_finance import checks
from tff_finance.evaluation.attacks.feature_layout import FeatureLayout
from tff_finance.evaluation.attacks.lira import Pool, balanced_pool
from tff_finance.evaluation.attacks.recovery import Judge
from tff_finance.preprocessing.consortium import Consortium
from tff_finance.privacy.guarantee import default_delta
from tff_finance.tasks.task import Task

NEIGHBOURING = "add_or_remove_one"
ACCOUNTANT = "rdp"  # PLD takes half a minute for as many small batches


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class AttackedData:
    """The rows of one seed.

    Attributes:
        consortium: Encoded tables; test rows are non-members, which no choice used.
        task: Gives the model.
        seed: The repetition.
    """

    consortium: Consortium
    task: Task
    seed: int

    @property
    def names(self) -> list[str]:
        """The institutions, in order."""
        return [i.institution for i in self.consortium.training]

    @property
    def num_features(self) -> int:
        """Encoded columns."""
        return len(self.consortium.encoder.feature_names)

    def generator(self, number: int) -> np.random.Generator:
        """The stream of random numbers of one part of the study."""
        return np.random.default_rng([self.seed, number])

    def build_keras_model(
        self, hidden_units: Sequence[int]
    ) -> Callable[[int | None], tf.keras.Model]:
        """The task's model of these widths, from a seed."""
        return lambda seed: self.task.build_model(
            self.num_features, hidden_units=hidden_units, seed=seed
        )

    def pools(self, rows: int, generator: np.random.Generator) -> list[Pool]:
        """Members and as many others of each institution."""
        return [
            balanced_pool(
                (i.train["x"], i.train["y"]),
                (
                    self.consortium.test[i.institution]["x"],
                    self.consortium.test[i.institution]["y"],
                ),
                rows=rows,
                generator=generator,
            )
            for i in self.consortium.training
        ]

    def judge(self, tolerance: float) -> Judge:
        """Compares rows; means come from sums over all training rows."""
        tables = [i.train["x"] for i in self.consortium.training]
        total = sum(table.sum(axis=0, dtype=np.float64) for table in tables)
        means = np.asarray(total) / sum(len(table) for table in tables)
        layout = FeatureLayout.of_encoder(self.consortium.encoder)
        return Judge(layout=layout, means=means, tolerance=tolerance)

    def draw(
        self, institutions: int, rows: int, generator: np.random.Generator
    ) -> list[tuple[NDArray, NDArray]]:
        """Training rows of some institutions, each of its own.

        More institutions than there are take turns: banks alike to these.

        Args:
            institutions: How many.
            rows: Of each.
            generator: Draws them, without a row twice at one institution.

        Returns:
            Features and labels of each.

        Raises:
            RunFailedError: If an institution has too few rows.
        """
        tables = [i.train for i in self.consortium.training]
        drawn = []
        for number in range(institutions):
            table = tables[number % len(tables)]
            if len(table["x"]) < rows:
                name = self.names[number % len(tables)]
                raise checks.RunFailedError(
                    f"An update of {rows} rows can't be drawn: {name} has "
                    f"{len(table['x'])} training rows. Ask for fewer."
                )
            chosen = generator.permutation(len(table["x"]))[:rows]
            drawn.append((table["x"][chosen], table["y"][chosen, 0]))
        return drawn


@dataclasses.dataclass(frozen=True, kw_only=True)
class Protection:
    """What stands between rows and attacker.

    Attributes:
        name: From `records.attack_rows.PROTECTIONS`.
        epsilon: That is claimed; None for none.
    """

    name: str = "none"
    epsilon: float | None = None

    def claim(self, population: int) -> dict[str, object]:
        """What results say of it: an epsilon never without all that makes it one.

        Args:
            population: Rows of an institution, of which delta follows.

        Returns:
            Settings of an `AttackRow`.
        """
        settings: dict[str, object] = {"protection": self.name, "epsilon": self.epsilon}
        if self.epsilon is None:
            return settings
        return settings | {
            "delta": default_delta(population),
            "unit": "record",
            "neighbouring": NEIGHBOURING,
            "accountant": ACCOUNTANT,
        }

    @property
    def label(self) -> str:
        """For lines of progress."""
        if self.epsilon is None:
            return self.name
        return f"{self.name}, epsilon {self.epsilon:g}"
