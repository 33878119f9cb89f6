"""What every method keeps to, whatever its family."""

import numpy as np

from tff_finance.records.method_names import WITHOUT_GLOBAL_NETWORK

# What trains or ends in a model for each institution.
WITH_A_MODEL_FOR_EACH = {
    name for name in WITHOUT_GLOBAL_NETWORK if name != "gradient_boosting"
}
# The models whose training is told, where they aren't those that are used.
TRAINED_BESIDES = {"fine_tuned": ["global"]}
TRAINED_TOGETHER = {"fed_per": ["global"]}


def assert_keeps_the_contract(name, fitted, institutions, *, seed):
    """One model for all or one for each, which give finite logits."""
    banks = [one.institution for one in institutions]
    used = banks if name in WITH_A_MODEL_FOR_EACH else ["global"]
    assert list(fitted.scorers) == used
    trained = TRAINED_TOGETHER.get(name, TRAINED_BESIDES.get(name, []) + used)
    assert [run.model for run in fitted.runs] == trained
    assert {run.method for run in fitted.runs} == {name}
    assert {run.seed for run in fitted.runs} == {seed}
    features = institutions[0].train["x"].shape[1]
    x = np.random.default_rng(0).normal(size=(11, features)).astype(np.float32)
    for scorer in fitted.scorers.values():
        logits = scorer(x)
        assert logits.shape == (11,)
        assert scorer(x[:0]).shape == (0,)
        assert np.isfinite(logits).all()
