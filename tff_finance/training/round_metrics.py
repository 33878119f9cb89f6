"""What a round's metrics say: whose updates were left out, and the others' loss."""

import dataclasses
from collections.abc import Mapping
from typing import Any

# What our aggregators, and TFF's zeroing, measure.
_REJECTED = ("rejected_updates", "zeroed_count")


@dataclasses.dataclass(frozen=True, kw_only=True)
class RoundMetrics:
    """What training goes on by.

    Attributes:
        training_loss: Mean over the round's rows, in nats; None if the process gives
            none away, or if no row counts.
        non_finite_updates: Institutions whose update isn't finite.
        rejected_updates: Institutions whose update the aggregator left out.
        counted: Whether anybody's update was neither.
    """

    training_loss: float | None
    non_finite_updates: int
    rejected_updates: int
    counted: bool


def read(metrics: Mapping[str, Any], *, clients: int, sampled: bool) -> RoundMetrics:
    """Reads the metrics of a learning process.

    Where all institutions take part, that nobody's update is finite means that
    training diverges, and the loss isn't finite either. A cohort may consist of the
    one that is broken, and of some without rows.

    Args:
        metrics: Of the process or, nested, of its client work and aggregator.
        clients: Of the round.
        sampled: Whether others may take part in the next round.

    Returns:
        What they say.
    """
    work, aggregator = metrics.get("client_work", metrics), metrics.get("aggregator")
    non_finite = int(work.get("non_finite_updates", 0))
    rejected = 0
    if isinstance(aggregator, Mapping):
        rejected = sum(int(aggregator.get(name, 0)) for name in _REJECTED)
    institutions = int(work.get("num_institutions", clients))  # with rows
    somebodys = bool(clients and _rows(work))
    loss = float(work["loss"]) if "loss" in work else None
    if not somebodys and (sampled or not non_finite):
        loss = None
    return RoundMetrics(
        training_loss=loss,
        non_finite_updates=non_finite,
        rejected_updates=rejected,
        counted=somebodys and non_finite + rejected < institutions,
    )


def _rows(work: Mapping[str, Any]) -> float:
    """How many count, as far as is known."""
    return float(work.get("loss_rows", work.get("num_examples", 1)))
