"""The examples in docs/privacy.md run as they stand, and give what the page says."""

import pathlib
import re

import numpy as np
import pytest

from tff_finance.privacy import accounting
from tff_finance.runtime import in_process

DOCS = pathlib.Path(__file__).parents[2] / "docs"


def examples(page):
    text = (DOCS / page).read_text()
    return re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)


def execute(page, code, names):
    exec(compile(code, page, "exec"), names)


@pytest.fixture(scope="module")
def names():
    """What the page takes from composition.md, whose own test trains with it."""
    (example,) = examples("composition.md")
    before, training, _ = example.partition("with execution_context()")
    assert training
    names = {}
    execute("composition.md", before, names)
    for code in examples("privacy.md")[:1]:
        execute("privacy.md", code, names)
    return names


def one_round(process, banks):
    """How far each weight goes, and the round's metrics."""
    with in_process.execution_context():
        before = process.initialize()
        after, metrics = process.next(before, banks)
    start, end = (
        np.concatenate(
            [np.ravel(w) for w in process.get_model_weights(state).trainable]
        )
        for state in (before, after)
    )
    return end - start, metrics


def test_the_page_has_three_examples():
    assert len(examples("privacy.md")) == 3


def test_private_gradients_train_without_giving_a_loss(names):
    moved, metrics = one_round(names["process"], names["banks"])
    assert np.isfinite(moved).all()
    assert (moved != 0).all()
    assert metrics["client_work"]["num_institutions"] == 2
    assert "loss" not in metrics["client_work"]


def test_the_noise_that_hides_a_branch_has_the_epsilon_that_is_said(names):
    own = dict(names)
    execute("privacy.md", examples("privacy.md")[1], own)
    epsilon = accounting.epsilon(
        [own["mechanism"]], neighbouring="add_or_remove_one", delta=1e-5
    )
    assert 7.8 < epsilon.value <= 8.0
    moved, _ = one_round(own["process"], own["banks"])
    assert (moved != 0).all()
    # Two of 300: noise and updates over the expected number.
    assert np.linalg.norm(moved) < (2 * 0.5 + 2 * 0.94 * 0.5 * len(moved) ** 0.5) / 300


def test_the_ledger_is_complete_and_says_what_it_leaves_out():
    names = {}
    execute("privacy.md", examples("privacy.md")[2], names)
    guarantee = names["ledger"].guarantee()
    assert 0 < guarantee.epsilon < 10
    assert any("score histograms" in text for text in guarantee.not_covered)
