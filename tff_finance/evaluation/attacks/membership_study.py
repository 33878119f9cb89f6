"""Membership inference on models of a study: which, by what, under what protection."""

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from tff_finance.evaluation.attacks.attacked_data import (
    ACCOUNTANT,
    NEIGHBOURING,
    AttackedData,
    Protection,
)
from tff_finance.evaluation.attacks.estimate import Estimate
from tff_finance.evaluation.attacks.lira import (
    Logits,
    Pool,
    confidence,
    lira_scores,
    shadow_confidences,
)
from tff_finance.evaluation.attacks.membership import membership_metrics
from tff_finance.evaluation.attacks.targets import (
    RecordPrivacy,
    TargetTraining,
    build_target_training,
)
from tff_finance.evaluation.attacks.threshold import threshold_scores
from tff_finance.privacy import accounting
from tff_finance.privacy.guarantee import default_delta
from tff_finance.privacy.mechanisms import PoissonSampledGaussian
from tff_finance.records.attack_config import MembershipConfig
from tff_finance.records.attack_rows import AttackRow

_STREAM = 1
_EVERYBODY = ""


def attack_membership(
    data: AttackedData,
    config: MembershipConfig,
    *,
    target: str,
    epsilons: Sequence[float],
    l2_clip_norm: float,
    report_progress: Callable[[str], None],
) -> Iterator[AttackRow]:
    """Attacks the global model under each protection, and each institution's own.

    Institutions' own models are attacked without protection. Secure aggregation is
    no protection here: the model that it gives is the same.

    Args:
        data: Of one seed.
        config: How models are trained.
        target: Name of that training in results.
        epsilons: Of record-level privacy, besides none.
        l2_clip_norm: Of private training.
        report_progress: Takes a line for each target.

    Yields:
        Results by institution, and of all rows together.
    """
    protections = [
        Protection(),
        *(Protection(name="record_dp", epsilon=epsilon) for epsilon in epsilons),
    ]
    for alone in (False, True):
        for protection in protections[:1] if alone else protections:
            generator = data.generator(_STREAM)
            pools = data.pools(config.rows, generator)
            fewest = min(int(pool.is_member.sum()) for pool in pools)
            training = TargetTraining(
                rounds=config.rounds,
                batch_size=config.batch_size,
                learning_rate=config.learning_rate,
                alone=alone,
                privacy=_enough_for_all(protection, pools, config, l2_clip_norm),
            )
            scores = _scores(data, config, training, pools, generator)
            model = "alone" if alone else "global"
            for method, by_institution in scores.items():
                yield from _rows(
                    by_institution,
                    data,
                    generator,
                    attack="membership",
                    method=method,
                    target=target,
                    **protection.claim(fewest),
                    model=model,
                    institutions=1 if alone else len(pools),
                    batch_size=config.batch_size,
                    hidden_units=config.hidden_units[0] if config.hidden_units else 1,
                )
            report_progress(
                f"seed {data.seed}  membership, {target}, {model}, {protection.label}"
            )


def _enough_for_all(
    protection: Protection,
    pools: Sequence[Pool],
    config: MembershipConfig,
    l2_clip_norm: float,
) -> RecordPrivacy | None:
    """The most noise that any institution needs: steps and sampling vary with rows."""
    needed = [
        record_privacy(
            protection,
            population=int(pool.is_member.sum()),
            batch_size=config.batch_size,
            rounds=config.rounds,
            l2_clip_norm=l2_clip_norm,
        )
        for pool in pools
    ]
    return max(
        (privacy for privacy in needed if privacy),
        key=lambda privacy: privacy.noise_multiplier,
        default=None,
    )


def record_privacy(
    protection: Protection,
    *,
    population: int,
    batch_size: int,
    rounds: int,
    l2_clip_norm: float,
) -> RecordPrivacy | None:
    """The noise that training needs to keep what is claimed; None if nothing is."""
    if protection.epsilon is None:
        return None
    noise = accounting.noise_multiplier(
        lambda noise: PoissonSampledGaussian.of_training(
            noise_multiplier=noise,
            population=population,
            batch_size=batch_size,
            rounds=rounds,
        ),
        neighbouring=NEIGHBOURING,
        epsilon=protection.epsilon,
        delta=default_delta(population),
        accountant=ACCOUNTANT,
    )
    return RecordPrivacy(l2_clip_norm=l2_clip_norm, noise_multiplier=noise)


def _scores(
    data: AttackedData,
    config: MembershipConfig,
    training: TargetTraining,
    pools: Sequence[Pool],
    generator: np.random.Generator,
) -> dict[str, list[NDArray[np.float64]]]:
    """Scores of every pool's rows by each attack, larger for members."""
    train = build_target_training(data.build_keras_model(config.hidden_units), training)
    models = train([pool.rows(pool.is_member) for pool in pools], data.seed)
    scores: dict[str, list[NDArray[np.float64]]] = {}
    for pool, logits in zip(pools, models, strict=True):
        for method, values in _threshold(pool, logits).items():
            scores.setdefault(method, []).append(values)
    if config.shadows:
        shadows = shadow_confidences(
            train, pools, shadows=config.shadows, generator=generator
        )
        scores["lira"] = [
            lira_scores(confidence(logits(pool.x), pool.y), said)
            for pool, logits, said in zip(pools, models, shadows, strict=True)
        ]
    return scores


def _threshold(pool: Pool, logits: Logits) -> dict[str, NDArray[np.float64]]:
    said, member = logits(pool.x), pool.is_member
    found = threshold_scores(
        member_logits=said[member],
        member_labels=pool.y[member],
        other_logits=said[~member],
        other_labels=pool.y[~member],
    )
    # Members come first in a pool.
    return {name: np.concatenate(both) for name, both in found.items()}


def _rows(
    scores: Sequence[NDArray[np.float64]],
    data: AttackedData,
    generator: np.random.Generator,
    **settings: object,
) -> Iterator[AttackRow]:
    """Rows of every institution, and of all rows together."""
    halves = [np.split(one, 2) for one in scores]
    together = [np.concatenate(side) for side in zip(*halves, strict=True)]
    names = [*data.names, _EVERYBODY]
    for name, (members, others) in zip(names, [*halves, together], strict=True):
        metrics = membership_metrics(members, others, generator=generator)
        yield from attack_rows(
            metrics, seed=data.seed, institution=name, settings=settings
        )


def attack_rows(
    metrics: Mapping[str, Estimate],
    *,
    seed: int,
    institution: str,
    settings: Mapping[str, object],
) -> Iterator[AttackRow]:
    """One row for each metric."""
    for metric, found in metrics.items():
        values: dict = dict(settings)
        yield AttackRow(
            seed=seed,
            institution=institution,
            metric=metric,
            value=found.value,
            low=found.low,
            high=found.high,
            trials=found.trials,
            reason=found.reason,
            **values,
        )
