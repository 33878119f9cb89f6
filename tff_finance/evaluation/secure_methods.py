"""FedAvg whose updates the server sees only as sums of integers."""

import dataclasses
from collections.abc import Sequence

import tensorflow_federated as tff

from tff_finance import checks
from tff_finance.aggregation.secure_mean import SecureMean
from tff_finance.algorithms.fed_avg import build_fed_avg
from tff_finance.evaluation.methods import Federated, Method
from tff_finance.evaluation.suite import Suite
from tff_finance.preprocessing.consortium import TrainingExamples
from tff_finance.records.institution_privacy_config import SecureAggregationConfig
from tff_finance.training.folder import TrainingFolder
from tff_finance.training.loop import Trained


def build_fed_avg_secure(suite: Suite, name: str) -> Method:
    """FedAvg by secure aggregation, with weights as FedAvg has them."""
    bounds = suite.training.secure_aggregation
    uniform = suite.weighting is tff.learning.ClientWeighting.UNIFORM
    secure = SecureMean(
        l2_clip_norm=bounds.l2_clip_norm,
        largest_weight=1.0 if uniform else bounds.largest_weight,
    )
    process = build_fed_avg(
        suite.model,
        client_optimizer=suite.client_optimizer,
        batches=suite.batches,
        server_optimizer=suite.server_optimizer(),
        weighting=suite.weighting,
        aggregator=secure.aggregator(),
        store=suite.store,
    )
    return SecureFedAvg(
        name=name,
        learner=suite.learner_of_local_epochs(process),
        bounds=None if uniform else bounds,
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class SecureFedAvg(Federated):
    """FedAvg by secure sums, which have room for so much only.

    Attributes:
        bounds: Of weights that are numbers of rows; None for uniform ones.
    """

    bounds: SecureAggregationConfig | None

    def train(
        self,
        institutions: Sequence[TrainingExamples],
        *,
        seed: int,
        folder: TrainingFolder | None,
    ) -> Trained:
        """As in `Federated`.

        Args:
            institutions: As in `Federated`.
            seed: As in `Federated`.
            folder: As in `Federated`.

        Returns:
            The outcome.

        Raises:
            UnfitSettingsError: If an institution has more rows than sums have room
                for.
        """
        if self.bounds:
            try:
                self.bounds.check_bears(
                    {i.institution: len(i.train["y"]) for i in institutions}
                )
            except ValueError as error:
                raise checks.UnfitSettingsError(f"{self.name}: {error}") from error
        return super().train(institutions, seed=seed, folder=folder)
