"""Gradient inversion of updates of a study: of single institutions, and of sums."""

import dataclasses
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from tff_finance.evaluation.attacks.attacked_data import AttackedData, Protection
from tff_finance.evaluation.attacks.disturbance import UNDISTURBED, Disturbance
from tff_finance.evaluation.attacks.estimate import Estimate
from tff_finance.evaluation.attacks.first_layer import rows_from_first_layer
from tff_finance.evaluation.attacks.gradient_matching import (
    Matching,
    Observation,
    matched_rows,
)
from tff_finance.evaluation.attacks.imprint import (
    prepared_weights,
    rows_from_differences,
)
from tff_finance.evaluation.attacks.membership_study import (
    attack_rows,
    record_privacy,
)
from tff_finance.evaluation.attacks.observed_updates import (
    Arrays,
    ObservedUpdates,
    Update,
    summed,
)
from tff_finance.evaluation.attacks.peeling import peeled_rows
from tff_finance.evaluation.attacks.recovery import Judge, Recovery
from tff_finance.evaluation.intervals import t_interval
from tff_finance.records.attack_config import AttackConfig, InversionConfig
from tff_finance.records.attack_rows import AttackRow

_STREAM = 2
_SECOND_LAYER = 16
_LEAST_UPDATES = 5
_ROWS = 320


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class _Scene:
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


def attack_updates(
    data: AttackedData,
    config: AttackConfig,
    *,
    report_progress: Callable[[str], None],
) -> Iterator[AttackRow]:
    """Inverts updates of the first round, by closed form and by matching.

    Args:
        data: Of one seed.
        config: Which updates; of training, batch size apart, the standard one's.
        report_progress: Takes a line for each kind of update.

    Yields:
        Shares of features and records recovered, and what no information gives.
    """
    inversion = config.inversion
    judge = data.judge(inversion.tolerance)
    for scene in _scenes(data, config):
        generator = data.generator(_STREAM)
        methods = ["first_layer"]
        if len(scene.batches) == 1:
            methods.append("prepared_model")
        # To match a sum is to match a batch of as many rows.
        if scene.institutions == 1 and scene.rows <= inversion.most_matched_rows:
            methods.append("gradient_matching")
        for method in methods:
            number = _number_of_updates(scene, inversion)
            if method == "gradient_matching":
                number = inversion.matched_updates
            found = [
                _attack(
                    scene,
                    method,
                    data,
                    judge=judge,
                    generator=generator,
                    steps=inversion.matching_steps,
                )
                for _ in range(number)
            ]
            yield from attack_rows(
                _metrics(found),
                seed=data.seed,
                institution="",
                settings={
                    "attack": "inversion",
                    "method": method,
                    "target": scene.target,
                    "protection": scene.protection.name,
                    "epsilon": scene.protection.epsilon,
                    "model": "global",
                    "institutions": scene.institutions,
                    "batch_size": scene.rows,
                    "hidden_units": len(scene.weights[1]),
                },
            )
        report_progress(
            f"seed {data.seed}  inversion, {scene.target}, {scene.protection.label}, "
            f"{scene.institutions} x {scene.rows} rows, {len(scene.weights[1])} neurons"
        )


def _number_of_updates(scene: _Scene, inversion: InversionConfig) -> int:
    """Fewer where an update has many rows, each of which counts."""
    rows = scene.institutions * scene.rows
    return min(inversion.updates, max(_LEAST_UPDATES, _ROWS // rows))


def _scenes(data: AttackedData, config: AttackConfig) -> Iterator[_Scene]:
    inversion, standard = config.inversion, config.standard
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
                yield _Scene(
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
            yield _local_epochs(updates, weights, rows, config)
            for epsilon in config.epsilons:
                protection = Protection(name="record_dp", epsilon=epsilon)
                privacy = record_privacy(
                    protection,
                    population=standard.rows,
                    batch_size=rows,
                    rounds=standard.rounds,
                    l2_clip_norm=config.l2_clip_norm,
                )
                assert privacy
                yield _Scene(
                    target="gradient",
                    protection=protection,
                    update=updates.private_gradient(
                        l2_clip_norm=privacy.l2_clip_norm,
                        noise_multiplier=privacy.noise_multiplier,
                    ),
                    weights=weights,
                    institutions=1,
                    rows=rows,
                    batches=whole,
                    disturbance=Disturbance(
                        deviation=privacy.noise_multiplier
                        * privacy.l2_clip_norm
                        / rows,
                        l2_clip_norm=privacy.l2_clip_norm,
                    ),
                )


def _local_epochs(
    updates: ObservedUpdates,
    weights: Sequence[NDArray],
    rows: int,
    config: AttackConfig,
) -> _Scene:
    """FedAvg's update: an institution of so few rows takes two steps an epoch."""
    epochs, step = config.inversion.local_epochs, -(-rows // 2)
    batches = tuple((first, min(first + step, rows)) for first in range(0, rows, step))
    learning_rate = config.standard.learning_rate
    return _Scene(
        target="local_epochs",
        protection=Protection(),
        update=updates.local_epochs(
            epochs=epochs, batch_size=step, learning_rate=learning_rate
        ),
        weights=weights,
        institutions=1,
        rows=rows,
        batches=batches * epochs,
        learning_rate=learning_rate,
    )


def _attack(
    scene: _Scene,
    method: str,
    data: AttackedData,
    *,
    judge: Judge,
    generator: np.random.Generator,
    steps: int,
) -> tuple[Recovery, float]:
    """Attacks one update; the number is the share that no information gives."""
    drawn = data.draw(scene.institutions, scene.rows, generator)
    truth = np.concatenate([x for x, _ in drawn])
    seed = int(generator.integers(2**31))
    weights = scene.weights
    if method == "prepared_model":
        weights = prepared_weights(weights, judge.layout, seed=seed)
    seen = summed([scene.update(weights, x, y) for x, y in drawn])
    if method == "prepared_model":
        guesses = rows_from_differences(
            weights,
            seen,
            judge.layout,
            rows=len(truth),
            disturbance=scene.disturbance,
            typical=judge.typical_row,
        )
    else:
        matching = None
        if method == "gradient_matching":
            matching = Matching(steps=steps, seed=seed)
        guesses = _honest_servers_rows(scene, seen, judge, matching)
    return judge.recovery(truth, guesses), judge.without_information(truth)


def _honest_servers_rows(
    scene: _Scene, seen: Arrays, judge: Judge, matching: Matching | None
) -> NDArray[np.float64]:
    """Rows in closed form, and by matching for those that don't come off so."""
    rows, layout = scene.institutions * scene.rows, judge.layout
    found, rest, batches = np.empty([0, layout.num_columns]), seen, scene.batches
    if len(batches) == 1:
        # The mean of gradients of equally many rows is the gradient of all of them.
        peeled = peeled_rows(
            scene.weights, seen, layout, rows=rows, disturbance=scene.disturbance
        )
        found, rest, batches = peeled.x, peeled.rest, ((0, rows - len(peeled.x)),)
    missing = rows - len(found)
    if not missing:
        return found
    if matching is None:
        others = rows_from_first_layer(
            rest[0],
            rest[1],
            layout,
            rows=missing,
            deviation=scene.disturbance.deviation * rows / missing,
            typical=judge.typical_row,
        )
    else:
        observation = Observation(
            weights=scene.weights,
            update=rest,
            batches=batches,
            learning_rate=scene.learning_rate,
        )
        others = matched_rows(observation, layout, matching)
    return np.concatenate([found, others])


def _metrics(found: Sequence[tuple[Recovery, float]]) -> dict[str, Estimate]:
    """Means over updates, which are independent, with t-intervals between them."""
    return {
        "features_recovered": _mean([one.share for one, _ in found]),
        "records_recovered": _mean([one.records for one, _ in found]),
        "features_without_information": _mean([nothing for _, nothing in found]),
        "features_gained": _mean([one.share - nothing for one, nothing in found]),
    }


def _mean(values: Sequence[float]) -> Estimate:
    low, high, reason = None, None, ""
    if len(values) > 1:
        low, high = t_interval(values)
    else:
        reason = "one update gives no interval"
    return Estimate(
        value=float(np.mean(values)),
        low=low,
        high=high,
        trials=len(values),
        reason=reason,
    )
