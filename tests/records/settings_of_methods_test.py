"""Every setting is of some method, and every method has some setting."""

import pytest

from tff_finance.records.method_names import METHODS
from tff_finance.records.settings_of_methods import READERS, check_read
from tff_finance.records.training_settings import setting_kinds


def test_every_setting_that_can_be_searched_has_its_methods():
    assert set(READERS) == set(setting_kinds())
    for methods in READERS.values():
        assert methods
        assert set(methods) <= set(METHODS)
        assert len(set(methods)) == len(methods)


def test_every_method_of_networks_reads_something():
    read = {method for methods in READERS.values() for method in methods}
    assert set(METHODS) - read == {"gradient_boosting"}


@pytest.mark.parametrize(
    ("setting", "method"),
    [
        ("proximal_mu", "fed_prox"),
        ("local_epochs", "fed_buff"),
        ("server_optimizer", "fed_sgd"),
        ("client_learning_rate", "fed_md"),
        ("dp_rounds", "fed_avg_poisson"),
    ],
)
def test_what_a_method_reads_is_taken(setting, method):
    check_read(setting, method)


@pytest.mark.parametrize(
    ("setting", "method"),
    [
        ("proximal_mu", "fed_avg"),
        ("rounds", "fed_buff"),
        ("server_optimizer", "fed_adam"),
        ("client_learning_rate", "fed_avg_dp_sgd"),
        ("noise_multiplier", "fed_avg_poisson"),
        ("weighting", "fed_avg_median"),
        ("batch_size", "fed_sgd"),
        ("hidden_units", "fed_md"),
    ],
)
def test_what_it_does_not_read_is_refused(setting, method):
    with pytest.raises(
        ValueError, match=f"`{setting}` makes no difference to {method}"
    ):
        check_read(setting, method)
