"""Every setting is of some method, and every method has some setting."""

import pytest

from tff_finance.records.method_names import METHODS
from tff_finance.records.settings_of_methods import (
    PROMISES,
    READERS,
    check_read,
    is_read,
)
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


def test_what_states_a_protection_is_known_as_a_promise():
    words = ("epsilon", "delta", "noise", "privacy", "secure", "honest")
    stated = {name for name in setting_kinds() if any(w in name for w in words)}
    assert stated | {"branches"} == {*PROMISES}
    assert len(PROMISES) == len({*PROMISES})


@pytest.mark.parametrize(
    ("setting", "methods", "expected"),
    [
        ("target_epsilon", ["local", "fed_avg"], False),
        ("target_epsilon", ["local", "fed_avg_dp_sgd"], True),
        ("target_epsilon", [], False),
        ("accept_vacuous_privacy", ["fed_avg"], False),
        ("accept_vacuous_privacy", ["dp_ftrl"], True),
        ("fed_md_models", ["fed_avg"], False),
        ("plateau_rates", ["centralized"], True),
        ("of_an_earlier_version", ["fed_avg"], True),
    ],
)
def test_whether_any_of_several_methods_reads_it(setting, methods, expected):
    assert is_read(setting, methods) == expected


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


def test_one_reader_among_several_is_enough():
    check_read("branches", "local", "fed_avg", "fed_avg_branches")
    with pytest.raises(ValueError, match="to local, fed_avg: it is of fed_avg_branche"):
        check_read("branches", "local", "fed_avg")
