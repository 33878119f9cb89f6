"""Branches hold each row of their bank once."""

import numpy as np
import pytest

from tff_finance.evaluation.branches import deal_to_branches
from tff_finance.institutions.examples import dense_examples
from tff_finance.preprocessing.consortium import TrainingExamples


def institution(name, rows, first):
    x = np.arange(first, first + rows)[:, np.newaxis]
    examples = dense_examples(x, x[:, 0] % 2, institution=name)
    return TrainingExamples(institution=name, train=examples, validation=examples)


INSTITUTIONS = [institution("bank_a", 10, 0), institution("bank_b", 7, 100)]


def test_every_row_is_in_one_branch_with_its_label():
    branches = deal_to_branches(INSTITUTIONS, 3, seed=4)
    assert [len(b["y"]) for b in branches] == [4, 3, 3, 3, 2, 2]
    assert [b["institution"].item().decode() for b in branches][2:4] == [
        "bank_a branch 2",
        "bank_b branch 0",
    ]
    dealt = np.concatenate([b["x"][:, 0] for b in branches])
    assert sorted(dealt[:10]) == list(range(10))
    assert sorted(dealt[10:]) == list(range(100, 107))
    labels = np.concatenate([b["y"][:, 0] for b in branches])
    np.testing.assert_array_equal(labels, dealt % 2)


def test_dealing_follows_from_the_seed():
    first, again, other = (
        np.concatenate([b["x"] for b in deal_to_branches(INSTITUTIONS, 3, seed=seed)])
        for seed in (4, 4, 5)
    )
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_without_branches_institutions_stay_whole():
    tables = deal_to_branches(INSTITUTIONS, 0, seed=4)
    assert tables == [i.train for i in INSTITUTIONS]


def test_more_branches_than_rows_are_refused():
    with pytest.raises(ValueError, match=r"`branches` must be at most 7, .*'bank_b'"):
        deal_to_branches(INSTITUTIONS, 8, seed=4)
