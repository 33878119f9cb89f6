"""Branches: an institution's training rows dealt out to many small clients."""

from collections.abc import Sequence

import numpy as np

from tff_finance.institutions.examples import Examples, dense_examples
from tff_finance.preprocessing.consortium import TrainingExamples
from tff_finance.records.institution_privacy_config import check_branches


def deal_to_branches(
    institutions: Sequence[TrainingExamples], branches: int, *, seed: int
) -> list[Examples]:
    """Deals each institution's training rows out at random, in equal parts.

    Args:
        institutions: With their encoded training rows.
        branches: Of each institution; 0 leaves institutions as they are.
        seed: Of the dealing.

    Returns:
        The branches' tables, institution by institution; each row is in one of them.

    Raises:
        ValueError: If an institution has fewer rows than branches.
    """
    if not branches:
        return [institution.train for institution in institutions]
    check_branches(branches, {i.institution: len(i.train["y"]) for i in institutions})
    return [
        branch
        for number, institution in enumerate(institutions)
        for branch in _branches_of(
            institution, branches, np.random.default_rng([seed, number])
        )
    ]


def _branches_of(
    institution: TrainingExamples, branches: int, rng: np.random.Generator
) -> list[Examples]:
    rows = len(institution.train["y"])
    return [
        dense_examples(
            institution.train["x"][part],
            institution.train["y"][part],
            institution=f"{institution.institution} branch {number}",
        )
        for number, part in enumerate(np.array_split(rng.permutation(rows), branches))
    ]
