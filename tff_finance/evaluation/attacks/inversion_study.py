"""Gradient inversion of updates of a study: of single institutions, and of sums."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from tff_finance.evaluation.attacks.attacked_data import AttackedData
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
from tff_finance.evaluation.attacks.inversion_scenes import Scene, scenes
from tff_finance.evaluation.attacks.membership_study import attack_rows
from tff_finance.evaluation.attacks.observed_updates import Arrays, summed
from tff_finance.evaluation.attacks.peeling import peeled_rows
from tff_finance.evaluation.attacks.recovery import Judge, Recovery
from tff_finance.evaluation.intervals import t_interval
from tff_finance.records.attack_config import AttackConfig, InversionConfig
from tff_finance.records.attack_rows import AttackRow

_STREAM = 2
_LEAST_UPDATES = 5
_ROWS = 320


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
    for scene in scenes(data, config):
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
                    **scene.protection.claim(scene.population),
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


def _number_of_updates(scene: Scene, inversion: InversionConfig) -> int:
    """Fewer where an update has many rows, each of which counts."""
    rows = scene.institutions * scene.rows
    return min(inversion.updates, max(_LEAST_UPDATES, _ROWS // rows))


def _attack(
    scene: Scene,
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
    scene: Scene, seen: Arrays, judge: Judge, matching: Matching | None
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
            l2_clip_norm=scene.disturbance.l2_clip_norm,
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
