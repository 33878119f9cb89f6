"""Membership inference by a threshold on loss or entropy.

The attacker has the model and the row with its label, and nothing else: rows that the
model is very sure of are taken for members. By tensorflow-empirical-privacy.

Source: Yeom et al. (2018), https://arxiv.org/abs/1709.01604; Song and Mittal (2021),
https://arxiv.org/abs/2003.10595, for the entropy that knows the label.
"""

from typing import NamedTuple

import numpy as np
import scipy.special
from numpy.typing import ArrayLike, NDArray

ATTACKS = ("loss", "entropy")


class MembershipScores(NamedTuple):
    """An attack's scores, larger for rows that it takes for members.

    Attributes:
        members: Of rows that the model was trained on, float64[n].
        others: Of rows that it never saw, float64[m].
    """

    members: NDArray[np.float64]
    others: NDArray[np.float64]


def threshold_scores(
    *,
    member_logits: ArrayLike,
    member_labels: ArrayLike,
    other_logits: ArrayLike,
    other_labels: ArrayLike,
) -> dict[str, MembershipScores]:
    """Scores rows by loss and by entropy under the model.

    Args:
        member_logits: Log-odds of label 1, float[n].
        member_labels: 0 or 1, [n].
        other_logits: The same of rows that the model never saw, [m].
        other_labels: Their labels, [m].

    Returns:
        By name of `ATTACKS`.
    """
    # It imports TensorFlow, and belongs to the extra `attacks`.
    from tensorflow_privacy.privacy.privacy_tests.membership_inference_attack import (  # noqa: PLC0415
        membership_inference_attack as library,
    )
    from tensorflow_privacy.privacy.privacy_tests.membership_inference_attack.data_structures import (  # noqa: PLC0415, E501
        AttackInputData,
        AttackType,
    )

    sides = [
        (np.asarray(logits, np.float64), np.asarray(labels, np.int64))
        for logits, labels in (
            (member_logits, member_labels),
            (other_logits, other_labels),
        )
    ]
    # The library's own loss clips probabilities, which ties rows of sure models.
    losses = [np.logaddexp(0, np.where(y == 1, -z, z)) for z, y in sides]
    probabilities = [
        np.stack([scipy.special.expit(-z), scipy.special.expit(z)], axis=1)
        for z, _ in sides
    ]
    # Its entropy is of "logits", which it takes for probabilities if they sum to 1.
    data = AttackInputData(
        loss_train=losses[0],
        loss_test=losses[1],
        logits_train=probabilities[0],
        logits_test=probabilities[1],
        labels_train=sides[0][1],
        labels_test=sides[1][1],
    )
    kinds = {
        AttackType.THRESHOLD_ATTACK: "loss",
        AttackType.THRESHOLD_ENTROPY_ATTACK: "entropy",
    }
    with np.errstate(all="ignore"):  # of a bound on epsilon that is not used here
        results = library.run_attacks(data, attack_types=list(kinds))
    return {
        kinds[result.attack_type]: MembershipScores(
            np.asarray(result.membership_scores_train, np.float64),
            np.asarray(result.membership_scores_test, np.float64),
        )
        for result in results.single_attack_results
    }
