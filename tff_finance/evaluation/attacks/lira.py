"""LiRA: membership inference by likelihood ratio, with shadow models.

Shadow models are trained as the target was, each on a random half of the rows in
question. What the target says of a row is compared with what models say that had the
row, and with what models say that hadn't. The ratio is tensorflow-empirical-privacy's.

Source: Carlini et al. (2022), https://arxiv.org/abs/2112.03570, online attack.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tff_finance import checks

# With fewer, the variance of single rows isn't known; the paper takes one for all.
_SHADOWS_FOR_VARIANCES = 64


class Pool(NamedTuple):
    """An institution's rows in question, of one law: half of them are members.

    Attributes:
        x: Features, float32[n, features].
        y: Labels, float32[n].
        is_member: Whether the target was trained on a row, bool[n].
    """

    x: NDArray[np.float32]
    y: NDArray[np.float32]
    is_member: NDArray[np.bool_]

    def rows(self, chosen: NDArray[np.bool_]) -> tuple[NDArray, NDArray]:
        """Features and labels of the chosen rows."""
        return self.x[chosen], self.y[chosen]


Logits = Callable[[NDArray[np.float32]], NDArray[np.float64]]
"""From features [n, features] to log-odds of label 1, [n]."""

TrainModels = Callable[[Sequence[tuple[NDArray, NDArray]], int], Sequence[Logits]]
"""The training procedure: from each institution's rows and a seed to the model that
judges that institution's rows, the same for all of them if it is global."""


def balanced_pool(
    members: tuple[NDArray, NDArray],
    others: tuple[NDArray, NDArray],
    *,
    rows: int,
    generator: np.random.Generator,
) -> Pool:
    """Draws as many members as non-members.

    Args:
        members: Features and labels of rows to train on.
        others: Of rows of the same law, held out from every choice.
        rows: Of each at most; fewer if there are fewer of either.
        generator: Draws them.

    Returns:
        The pool, members first.
    """
    checks.check_at_least("rows", rows, 1)
    number = min(rows, len(members[0]), len(others[0]))
    parts = []
    for x, y in (members, others):
        drawn = generator.permutation(len(x))[:number]
        parts.append((x[drawn], np.ravel(y)[drawn]))
    (x_in, y_in), (x_out, y_out) = parts
    return Pool(
        np.concatenate([x_in, x_out]).astype(np.float32),
        np.concatenate([y_in, y_out]).astype(np.float32),
        np.arange(2 * number) < number,
    )


def confidence(logits: ArrayLike, labels: ArrayLike) -> NDArray[np.float64]:
    """log(p / (1 - p)) of a row's own label, [n]: near to normal over shadows."""
    signs = np.where(np.asarray(labels) == 1, 1.0, -1.0)
    return np.asarray(signs * np.asarray(logits), np.float64)


class ShadowConfidences(NamedTuple):
    """What shadow models say of an institution's pool.

    Attributes:
        confidence: float64[shadows, n].
        trained_on: Whether a shadow was trained on a row, bool[shadows, n].
    """

    confidence: NDArray[np.float64]
    trained_on: NDArray[np.bool_]


def shadow_confidences(
    train: TrainModels,
    pools: Sequence[Pool],
    *,
    shadows: int,
    generator: np.random.Generator,
) -> list[ShadowConfidences]:
    """Trains shadow models, each on a random half of every institution's pool.

    Shadows come in pairs that halve the pools between them, so that every row is in
    exactly half of them, and a shadow has as many rows as the target.

    Args:
        train: The target's own procedure.
        pools: One per institution.
        shadows: An even number.
        generator: Draws halves and the shadows' seeds.

    Returns:
        One per institution.

    Raises:
        ValueError: If the number is odd or below 2.
    """
    if shadows < 2 or shadows % 2:  # noqa: PLR2004
        raise ValueError(f"`shadows` must be even and at least 2, got {shadows!r}.")
    halves: list[list[NDArray[np.bool_]]] = []
    for _ in range(shadows // 2):
        half = [_random_half(len(pool.x), generator) for pool in pools]
        halves += [half, [~one for one in half]]
    said: list[list[NDArray[np.float64]]] = []
    for half in halves:
        tables = [pool.rows(one) for pool, one in zip(pools, half, strict=True)]
        models = train(tables, int(generator.integers(2**31)))
        said.append(
            [
                confidence(logits(pool.x), pool.y)
                for pool, logits in zip(pools, models, strict=True)
            ]
        )
    return [
        ShadowConfidences(np.stack(values), np.stack(chosen))
        for values, chosen in zip(
            zip(*said, strict=True), zip(*halves, strict=True), strict=True
        )
    ]


def lira_scores(
    target: NDArray[np.float64], shadows: ShadowConfidences
) -> NDArray[np.float64]:
    """The log likelihood ratio of each row, larger for members.

    Args:
        target: The target's confidence in each row, float64[n].
        shadows: The shadows' in the same rows, each row in some and out of some.

    Returns:
        Scores, float64[n].

    Raises:
        ValueError: If numbers of rows differ, or a row was in all shadows or in none.
    """
    from tensorflow_privacy.privacy.privacy_tests.membership_inference_attack import (  # noqa: PLC0415
        advanced_mia,
    )

    if shadows.confidence.shape[1:] != target.shape:
        raise ValueError(
            f"`shadows` must be about the {target.shape} rows of `target`, got "
            f"{shadows.confidence.shape}."
        )
    inside = shadows.trained_on.sum(axis=0)
    if inside.min() < 1 or inside.max() == len(shadows.trained_on):
        raise ValueError("`shadows` must have been trained with and without each row.")
    columns = range(target.size)
    said_with, said_without = (
        [shadows.confidence[chosen[:, row], row][:, np.newaxis] for row in columns]
        for chosen in (shadows.trained_on, ~shadows.trained_on)
    )
    return -advanced_mia.compute_score_lira(
        target[:, np.newaxis],
        said_with,
        said_without,
        fix_variance=len(shadows.trained_on) < _SHADOWS_FOR_VARIANCES,
    )


def _random_half(rows: int, generator: np.random.Generator) -> NDArray[np.bool_]:
    half = np.zeros(rows, np.bool_)
    half[generator.permutation(rows)[: rows // 2]] = True
    return half
