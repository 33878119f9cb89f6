"""Audits of private training by canaries: claims, and some that aren't kept."""

import dataclasses
from collections.abc import Callable, Iterator

from tff_finance.client_work.poisson_batches import PoissonBatches
from tff_finance.client_work.private_gradient import build_private_gradient
from tff_finance.evaluation.attacks.attacked_data import AttackedData, Protection
from tff_finance.evaluation.attacks.audit_power import refutable_noise_share
from tff_finance.evaluation.attacks.canaries import EpsilonBound, epsilon_bound
from tff_finance.evaluation.attacks.canary_runs import (
    canary_label,
    canary_row,
    canary_scores,
)
from tff_finance.evaluation.attacks.estimate import Estimate
from tff_finance.evaluation.attacks.membership_study import (
    attack_rows,
    record_privacy,
)
from tff_finance.evaluation.attacks.targets import RecordPrivacy
from tff_finance.privacy.guarantee import default_delta
from tff_finance.privacy.mechanisms import PoissonSampledGaussian
from tff_finance.records.attack_config import AttackConfig, CanaryConfig
from tff_finance.records.attack_rows import BROKEN, AttackRow
from tff_finance.tasks import keras_models

_STREAM = 3


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Audit:
    """One claim.

    Attributes:
        protection: Whose claim is kept or not.
        canary: Of the study.
        batch_size: Expected rows of a step, as claimed.
        privacy: That the claim needs.
    """

    protection: Protection
    canary: CanaryConfig
    batch_size: int
    privacy: RecordPrivacy

    @property
    def noise_multiplier(self) -> float:
        """That training really has."""
        if self.protection.name == "missing_noise":
            return 0.0
        return self.privacy.noise_multiplier

    @property
    def batches(self) -> PoissonBatches:
        """That training really takes."""
        canary = self.canary
        if self.protection.name == "missing_sampling":
            # As many steps, of all rows.
            steps = canary.steps * -(-canary.rows // self.batch_size)
            return PoissonBatches(epochs=steps, batch_size=canary.rows)
        return PoissonBatches(epochs=canary.steps, batch_size=self.batch_size)

    @property
    def mechanism(self) -> PoissonSampledGaussian:
        """That keeps the claim."""
        return PoissonSampledGaussian.of_training(
            noise_multiplier=self.privacy.noise_multiplier,
            population=self.canary.rows,
            batch_size=self.batch_size,
            rounds=self.canary.steps,
        )


def _audits(config: AttackConfig) -> Iterator[_Audit]:
    canary = config.canary
    batch_sizes = (canary.rows, canary.sampled_batch_size)
    claims = [
        (Protection(name="record_dp", epsilon=epsilon), batch_size)
        for batch_size in batch_sizes
        for epsilon in canary.epsilons
    ]
    claims += [
        (Protection(name=name, epsilon=canary.broken_epsilon), batch_size)
        for name, batch_size in zip(BROKEN, batch_sizes, strict=True)
    ]
    for claim, batch_size in claims:
        privacy = record_privacy(
            claim,
            population=canary.rows,
            batch_size=batch_size,
            rounds=canary.steps,
            l2_clip_norm=config.l2_clip_norm,
        )
        assert privacy
        yield _Audit(
            protection=claim, canary=canary, batch_size=batch_size, privacy=privacy
        )


def audit_by_canaries(
    data: AttackedData,
    config: AttackConfig,
    *,
    report_progress: Callable[[str], None],
) -> Iterator[AttackRow]:
    """Bounds the epsilon of private training from below.

    Args:
        data: Of one seed.
        config: Claims and runs.
        report_progress: Takes a line for each claim.

    Yields:
        For each claim, of steps of all rows and of sampled ones, the bound by gradient
        and by loss, the largest bound that so many runs could have shown, and how
        little noise they would have refuted. The last claims aren't kept: noise is
        left out, or sampling.
    """
    canary = config.canary
    hidden_units = config.standard.hidden_units
    build = data.build_keras_model(hidden_units)
    model = keras_models.functional_model(lambda: build(data.seed))
    [(x, y)] = data.draw(1, canary.rows - 1, data.generator(_STREAM))
    row = canary_row(x)
    label = canary_label(build(data.seed), row)
    delta = default_delta(canary.rows)
    for audit in _audits(config):
        scores = canary_scores(
            model,
            build_private_gradient(
                model,
                l2_clip_norm=audit.privacy.l2_clip_norm,
                noise_multiplier=audit.noise_multiplier,
                keras_model=build(data.seed),
            ),
            (x, y),
            (row, label),
            batches=audit.batches,
            learning_rate=canary.learning_rate,
            runs=canary.runs,
        )
        for method, runs in scores.items():
            yield from attack_rows(
                _metrics(audit, epsilon_bound(*runs, delta=delta), delta),
                seed=data.seed,
                institution=data.names[0],
                settings={
                    "attack": "canary",
                    "method": method,
                    "target": "local_epochs",
                    "model": "alone",
                    "institutions": 1,
                    **audit.protection.claim(canary.rows),
                    "batch_size": audit.batch_size,
                    "hidden_units": hidden_units[0] if hidden_units else 1,
                },
            )
        report_progress(
            f"seed {data.seed}  canaries, {audit.protection.label}, "
            f"{audit.batch_size} of {canary.rows} rows"
        )


def _metrics(audit: _Audit, bound: EpsilonBound, delta: float) -> dict[str, Estimate]:
    runs = bound.inserted_runs + bound.absent_runs
    about = f"a limit that holds with {100 * bound.confidence:g} % confidence"
    assert audit.protection.epsilon is not None
    refutable = refutable_noise_share(
        audit.mechanism,
        epsilon=audit.protection.epsilon,
        delta=delta,
        runs=bound.inserted_runs,
    )
    return {
        "epsilon_bound": Estimate(value=bound.value, trials=runs, reason=about),
        "largest_bound": Estimate(value=bound.largest, trials=runs, reason=about),
        "refutable_noise_share": Estimate(
            value=refutable,
            trials=runs,
            reason="so few runs can't refute the claim"
            if refutable is None
            else "computed, of the best score there is",
        ),
        "sampling_probability": Estimate(
            value=audit.mechanism.sampling_probability, trials=runs, reason="a setting"
        ),
    }
