"""Audits of private training by canaries: claims, and one that isn't kept."""

from collections.abc import Callable, Iterator

from tff_finance.client_work.poisson_batches import PoissonBatches
from tff_finance.client_work.private_gradient import build_private_gradient
from tff_finance.evaluation.attacks.attacked_data import AttackedData, Protection
from tff_finance.evaluation.attacks.canaries import EpsilonBound, epsilon_bound
from tff_finance.evaluation.attacks.canary_runs import canary_row, canary_scores
from tff_finance.evaluation.attacks.estimate import Estimate
from tff_finance.evaluation.attacks.membership_study import (
    attack_rows,
    record_privacy,
)
from tff_finance.privacy.guarantee import default_delta
from tff_finance.records.attack_config import AttackConfig
from tff_finance.records.attack_rows import AttackRow
from tff_finance.tasks import keras_models

_STREAM = 3


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
        For each claim the bound by gradient and by loss, and the largest bound that
        so many runs could have shown; the last claim is of training without noise.
    """
    canary = config.canary
    claims = [
        Protection(name="record_dp", epsilon=epsilon) for epsilon in config.epsilons
    ]
    claims.append(
        Protection(name="missing_noise", epsilon=canary.missing_noise_epsilon)
    )
    hidden_units = config.standard.hidden_units
    build = data.build_keras_model(hidden_units)
    model = keras_models.functional_model(lambda: build(data.seed))
    [(x, y)] = data.draw(1, canary.rows - 1, data.generator(_STREAM))
    for claim in claims:
        privacy = record_privacy(
            claim,
            population=canary.rows,
            batch_size=canary.rows,
            rounds=canary.steps,
            l2_clip_norm=config.l2_clip_norm,
        )
        assert privacy
        noise = 0.0 if claim.name == "missing_noise" else privacy.noise_multiplier
        scores = canary_scores(
            model,
            build_private_gradient(
                model,
                l2_clip_norm=privacy.l2_clip_norm,
                noise_multiplier=noise,
                keras_model=build(data.seed),
            ),
            (x, y),
            (canary_row(x), 1.0),
            batches=PoissonBatches(epochs=canary.steps, batch_size=canary.rows),
            learning_rate=config.standard.learning_rate,
            runs=canary.runs,
        )
        for method, runs in scores.items():
            bound = epsilon_bound(*runs, delta=default_delta(canary.rows))
            yield from attack_rows(
                _metrics(bound),
                seed=data.seed,
                institution=data.names[0],
                settings={
                    "attack": "canary",
                    "method": method,
                    "target": "local_epochs",
                    "model": "alone",
                    "institutions": 1,
                    "protection": claim.name,
                    "epsilon": claim.epsilon,
                    "batch_size": canary.rows,
                    "hidden_units": hidden_units[0] if hidden_units else 1,
                },
            )
        report_progress(f"seed {data.seed}  canaries, {claim.label}")


def _metrics(bound: EpsilonBound) -> dict[str, Estimate]:
    runs = bound.inserted_runs + bound.absent_runs
    about = f"a limit that holds with {100 * bound.confidence:g} % confidence"
    return {
        "epsilon_bound": Estimate(value=bound.value, trials=runs, reason=about),
        "largest_bound": Estimate(value=bound.largest, trials=runs, reason=about),
    }
