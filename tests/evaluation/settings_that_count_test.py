"""Settings reach the methods that they are of: another value, another result."""

import numpy as np
import pytest

from tff_finance.evaluation.method_suite import build_methods
from tff_finance.institutions.examples import InMemory, dense_examples
from tff_finance.preprocessing.consortium import TrainingExamples
from tff_finance.records.settings_of_methods import check_read
from tff_finance.records.training_config import TrainingConfig
from tff_finance.records.training_settings import replace_settings
from tff_finance.runtime import in_process

FEATURES = 3
TRAINING = TrainingConfig(
    hidden_units=(), batch_size=16, client_learning_rate=0.3, rounds=3, max_epochs=3
)
# What a method needs for its settings to be of account.
BASE = {
    "centralized": {"plateau_rates": ("client",), "plateau_patience": 1},
    "fine_tuned": {"fine_tuning_epochs": 2},
    "fed_per": {"hidden_units": (2,)},  # or there would be no trunk
    # The update that comes late starts from weights of two buffers ago.
    "fed_buff": {"institution_seconds": "one_slow(60, 2.5)", "fed_buff_rounds": 4},
}
CASES = [
    ("centralized", "plateau_factor", 0.1),
    ("centralized", "plateau_minimum", 0.2),
    ("fine_tuned", "fine_tuning_learning_rate", 0.1),
    ("fed_per", "server_optimizer", "adam"),
    ("fed_prox", "server_optimizer", "adam"),
    ("scaffold", "server_optimizer", "adam"),
    ("fed_buff", "server_optimizer", "adam"),
    ("fed_buff", "fed_buff_server_learning_rate", 0.5),
    ("fed_buff", "max_staleness", 1),
    ("fed_buff", "staleness_exponent", 2.0),
    ("fed_avg_trimmed_mean", "trimmed_share", 0.0),
    ("fed_avg_quantized", "quantization_bits", 2),
]


@pytest.fixture(scope="module", autouse=True)
def context(uncompiled):
    del uncompiled
    with in_process.execution_context():
        yield


def institution(name, rows):
    """Of which training takes what it is validated by ever farther away."""
    rng = np.random.default_rng(rows)

    def examples(rows, sign):
        x = rng.normal(size=(rows, FEATURES))
        return dense_examples(x, sign * x[:, 0] > 0, institution=name)

    return TrainingExamples(
        institution=name, train=examples(rows, 1), validation=examples(10, -1)
    )


@pytest.fixture(scope="module")
def institutions():
    """Three: of two updates nothing can be trimmed."""
    return [
        institution(name, rows)
        for name, rows in (("bank_a", 30), ("bank_b", 20), ("bank_c", 25))
    ]


@pytest.fixture(scope="module")
def build(institutions, tmp_path_factory):
    def build(name, **settings):
        (method,) = build_methods(
            (name,),
            FEATURES,
            replace_settings(TRAINING, BASE.get(name, {}) | settings),
            store=InMemory(),
            num_institutions=len(institutions),
            state_directory=tmp_path_factory.mktemp("institution_state"),
        )
        return method

    return build


@pytest.fixture(scope="module")
def losses(institutions):
    """Of the models after each round on each curve, of a method."""

    def losses(method):
        curves = method.fit(institutions, seed=6).curves
        return np.array([row.validation_loss for row in curves], np.float64)

    return losses


@pytest.fixture(scope="module", params=dict.fromkeys(name for name, *_ in CASES))
def name(request):
    return request.param


@pytest.fixture(scope="module")
def usual(name, build, losses):
    """Of the method as it is: to the last bit the same whenever it is trained."""
    method = build(name)
    first, again = losses(method), losses(method)
    np.testing.assert_array_equal(first, again)
    return first


def test_another_value_gives_another_result(name, usual, build, losses):
    without_effect = []
    for method, setting, value in CASES:
        if method == name:
            check_read(setting, name)
            found = losses(build(name, **{setting: value}))
            assert found.shape == usual.shape
            if np.abs(found - usual).max() <= 1e-4:
                without_effect.append(setting)
    assert not without_effect
