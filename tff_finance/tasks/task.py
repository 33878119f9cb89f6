"""What a business task is: a model, how it is trained, and what success means."""

import dataclasses
from collections.abc import Mapping

from tff_finance.metrics.daily_histogram import DailyHistogram
from tff_finance.metrics.derived import METRICS
from tff_finance.metrics.score_histogram import ScoreHistogram
from tff_finance.metrics.values import Metric
from tff_finance.records.training_config import TrainingConfig
from tff_finance.tasks.mlp import ModelBuilder


@dataclasses.dataclass(frozen=True, kw_only=True)
class Task:
    """A business task. `dataclasses.replace` makes one with other costs or settings.

    Attributes:
        name: Key in flags and results.
        build_model: Builds the Keras model from the width of the encoded table.
        training: Settings that suit tables of this kind; a start, not an optimum.
        business_metrics: What the business decides by, from score histograms.
        payment_metrics: The same from payments by day.
        card_metrics: The same from cards by day.
    """

    name: str
    build_model: ModelBuilder
    training: TrainingConfig
    business_metrics: tuple[Metric[ScoreHistogram], ...]
    payment_metrics: tuple[Metric[DailyHistogram], ...] = ()
    card_metrics: tuple[Metric[DailyHistogram], ...] = ()

    @property
    def metrics(self) -> Mapping[str, Metric[ScoreHistogram]]:
        """Every metric from score histograms: those of all tasks, then its own."""
        return {**METRICS, **{m.name: m for m in self.business_metrics}}
