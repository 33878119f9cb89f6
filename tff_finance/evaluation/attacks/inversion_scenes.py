"""The updates that gradient inversion attacks: single ones, sums, private ones."""

import dataclasses
import math
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from tff_finance.evaluation.attacks.attacked_data import (
    ACCOUNTANT,
    NEIGHBOURING,
    AttackedData,
    Protection,
)
from tff_finance.evaluation.attacks.disturbance import UNDISTURBED, Disturbance
from tff_finance.evaluation.attacks.membership_study import record_privacy
from tff_finance.evaluation.attacks.observed_updates import ObservedUpdates, Update
from tff_finance.evaluation.attacks.targets import RecordPrivacy
from tff_finance.privacy import accounting
from tff_finance.privacy.guarantee import default_delta
from tff_finance.privacy.mechanisms import PoissonSampledGaussian
from tff_finance.records.attack_config import AttackConfig

_SECOND_LAYER = 16


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Scene:
    """One kind of update, attacked several times.

    Attributes:
        target: "gradient" or "local_epochs".
        protection: Of the update.
        update: What an institution sends.
        weights: Where it starts.
        institutions: That are summed.
        rows: Of each.
        batches: Of an institution's local steps, as the attacker takes them.
        learning_rate: Of these.
        disturbance: What the protection does to the update, which is no secret.
        population: Rows of an institution, of which a batch may be a sample.
    """

    target: str
    protection: Protection
    update: Update
    weights: Sequence[NDArray]
    institutions: int
    rows: int
    batches: tuple[tuple[int, int], ...]
    learning_rate: float = 1.0
    disturbance: Disturbance = UNDISTURBED
    population: int = 1


def scenes(data: AttackedData, config: AttackConfig) -> Iterator[Scene]:
    """All updates that a study attacks.

    Args:
        data: Of one seed.
        config: Which.

    Yields:
        Gradients of all widths, batch sizes and sums; of the first width also updates
        of local epochs, and both with privacy.
    """
    inversion = config.inversion
    for width in inversion.hidden_units:
        build = data.build_keras_model((width, _SECOND_LAYER))
        updates = ObservedUpdates(
            build_keras_model=lambda build=build: build(data.seed)
        )
        weights = [np.asarray(v) for v in build(data.seed).trainable_variables]
        gradient = updates.gradient()
        for rows in inversion.batch_sizes:
            whole = ((0, rows),)
            for institutions in inversion.institutions:
                yield Scene(
                    target="gradient",
                    protection=Protection(
                        name="none" if institutions == 1 else "secure_sum"
                    ),
                    update=gradient,
                    weights=weights,
                    institutions=institutions,
                    rows=rows,
                    batches=whole,
                )
            if width != inversion.hidden_units[0]:
                continue
            protections = [
                Protection(name="record_dp", epsilon=epsilon)
                for epsilon in config.epsilons
            ]
            for protection in (Protection(), *protections):
                yield _local_epochs(updates, weights, rows, config, protection)
            control = _control(config)
            for protection in (control, *protections):
                yield _private_gradient(updates, weights, rows, config, protection)


def _control(config: AttackConfig) -> Protection:
    """What is claimed of noise that protects nobody, to one digit from above."""
    standard, inversion = config.standard, config.inversion
    spent = max(
        accounting.epsilon(
            [
                PoissonSampledGaussian.of_training(
                    noise_multiplier=inversion.control_noise_multiplier,
                    population=standard.rows,
                    batch_size=rows,
                    rounds=standard.rounds,
                )
            ],
            neighbouring=NEIGHBOURING,
            delta=default_delta(standard.rows),
            accountant=ACCOUNTANT,
        ).value
        for rows in inversion.batch_sizes
    )
    digit = 10.0 ** math.floor(math.log10(spent))
    return Protection(name="little_noise", epsilon=math.ceil(spent / digit) * digit)


def _private_gradient(
    updates: ObservedUpdates,
    weights: Sequence[NDArray],
    rows: int,
    config: AttackConfig,
    protection: Protection,
) -> Scene:
    """One step of DP-SGD, of the standard training."""
    if protection.name == "little_noise":
        privacy = RecordPrivacy(
            l2_clip_norm=config.l2_clip_norm,
            noise_multiplier=config.inversion.control_noise_multiplier,
        )
    else:
        privacy = record_privacy(
            protection,
            population=config.standard.rows,
            batch_size=rows,
            rounds=config.standard.rounds,
            l2_clip_norm=config.l2_clip_norm,
        )
    assert privacy
    return Scene(
        target="gradient",
        protection=protection,
        update=updates.private_gradient(
            l2_clip_norm=privacy.l2_clip_norm,
            noise_multiplier=privacy.noise_multiplier,
        ),
        weights=weights,
        institutions=1,
        rows=rows,
        batches=((0, rows),),
        disturbance=_disturbance(privacy, rows, steps=1),
        population=config.standard.rows,
    )


def _local_epochs(
    updates: ObservedUpdates,
    weights: Sequence[NDArray],
    rows: int,
    config: AttackConfig,
    protection: Protection,
) -> Scene:
    """FedAvg's update: an institution of so few rows takes two steps an epoch."""
    epochs, step = config.inversion.local_epochs, -(-rows // 2)
    batches = tuple((first, min(first + step, rows)) for first in range(0, rows, step))
    learning_rate = config.standard.learning_rate
    privacy = record_privacy(
        protection,
        population=rows,
        batch_size=step,
        rounds=config.standard.rounds * epochs,
        l2_clip_norm=config.l2_clip_norm,
    )
    if privacy:
        update = updates.private_local_epochs(
            epochs=epochs,
            batch_size=step,
            learning_rate=learning_rate,
            l2_clip_norm=privacy.l2_clip_norm,
            noise_multiplier=privacy.noise_multiplier,
        )
    else:
        update = updates.local_epochs(
            epochs=epochs, batch_size=step, learning_rate=learning_rate
        )
    return Scene(
        target="local_epochs",
        protection=protection,
        update=update,
        weights=weights,
        institutions=1,
        rows=rows,
        batches=batches * epochs,
        learning_rate=learning_rate,
        disturbance=_disturbance(privacy, step, steps=len(batches) * epochs),
        population=rows,
    )


def _disturbance(
    privacy: RecordPrivacy | None, batch_size: int, *, steps: int
) -> Disturbance:
    """What DP-SGD does to a sum of steps' mean gradients."""
    if privacy is None:
        return UNDISTURBED
    of_step = privacy.noise_multiplier * privacy.l2_clip_norm / batch_size
    return Disturbance(
        deviation=of_step * steps**0.5, l2_clip_norm=privacy.l2_clip_norm
    )
