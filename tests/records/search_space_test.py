"""Search spaces: texts to values and back, and errors that say what is wrong."""

import pytest

from tff_finance.records.asynchronous_config import AsynchronousConfig
from tff_finance.records.search_space import (
    Choices,
    Range,
    check_values,
    first_values,
    parse_search,
    setting_text,
)
from tff_finance.records.training_config import TrainingConfig

TRAINING = TrainingConfig()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "client_learning_rate=0.01:1:log",
            Range(
                name="client_learning_rate", low=0.01, high=1.0, log=True, whole=False
            ),
        ),
        (
            "server_learning_rate=0.5:2",
            Range(
                name="server_learning_rate", low=0.5, high=2.0, log=False, whole=False
            ),
        ),
        (
            "batch_size=32:512:log",
            Range(name="batch_size", low=32, high=512, log=True, whole=True),
        ),
        (
            "local_epochs=1,2,5",
            Choices(name="local_epochs", texts=("1", "2", "5"), values=(1, 2, 5)),
        ),
        (
            "proximal_mu=0,0.1",
            Choices(name="proximal_mu", texts=("0", "0.1"), values=(0.0, 0.1)),
        ),
        (
            "server_optimizer=sgd,adam",
            Choices(
                name="server_optimizer", texts=("sgd", "adam"), values=("sgd", "adam")
            ),
        ),
        (
            "local_layers=0,1",  # of a part of the configuration
            Choices(name="local_layers", texts=("0", "1"), values=(0, 1)),
        ),
        (
            "hidden_units=32x16,64",
            Choices(
                name="hidden_units", texts=("32x16", "64"), values=((32, 16), (64,))
            ),
        ),
    ],
)
def test_texts(text, expected):
    (dimension,) = parse_search([text])
    assert dimension == expected
    assert parse_search([str(dimension)]) == [dimension]
    check_values([dimension], TRAINING)


@pytest.mark.parametrize(
    ("text", "culprit"),
    [
        ("client_learning_rate", "must be NAME=LOW:HIGH"),
        ("=1:2", "must be NAME=LOW:HIGH"),
        ("local_epochs=", "must be NAME=LOW:HIGH"),
        ("epochs=1,2", "epochs is no setting that can be varied.*local_epochs"),
        ("plateau_rates=client,server", "plateau_rates is no setting"),
        ("personalization=1,2", "personalization is no setting"),
        ("local_layers=-1,1", "`local_layers` must be at least 0, got -1"),
        ("client_learning_rate=1:0.1", "must begin below its end"),
        ("client_learning_rate=0.1:0.1", "must begin below its end"),
        ("client_learning_rate=0:1:log", "must begin above 0"),
        ("client_learning_rate=0:1", "`client_learning_rate` must be positive"),
        ("client_learning_rate=a:1", "must be a number, got 'a'"),
        ("client_learning_rate=0.1:inf", "must be a number, got 'inf'"),
        ("client_learning_rate=0.1:1:ln", "LOW:HIGH or LOW:HIGH:log"),
        ("client_learning_rate=0.1:1:log:2", "LOW:HIGH or LOW:HIGH:log"),
        ("batch_size=1.5:3", "must be a whole number, got '1.5'"),
        ("local_epochs=1,1", "at least two and distinct"),
        ("local_epochs=1", "at least two and distinct"),
        ("local_epochs=0,1", "`local_epochs` must be at least 1, got 0"),
        ("hidden_units=8:64", "hidden_units is no number: give choices"),
        ("hidden_units=8x,4", "must be a whole number, got ''"),
        ("server_optimizer=sgd,magic", "`server_optimizer` must be one of"),
    ],
)
def test_what_makes_no_sense_is_refused(text, culprit):
    with pytest.raises(ValueError, match=culprit) as caught:
        check_values(parse_search([text]), TRAINING)
    # A range says its limits as decimals once it is read.
    assert str(caught.value).startswith(f"'{text.partition('=')[0]}")


def test_a_search_of_nothing_or_of_one_thing_twice_is_refused():
    with pytest.raises(ValueError, match="at least one setting: NAME=LOW:HIGH"):
        parse_search([])
    with pytest.raises(ValueError, match="local_epochs is given twice"):
        parse_search(["local_epochs=1,2", "local_epochs=3:4"])


def test_values_are_checked_beside_the_first_ones_of_other_settings():
    outages = ["outage_rate=1e-6:1e-4:log", "outage_seconds=10,100"]
    dimensions = parse_search(outages)
    clock = AsynchronousConfig(institution_seconds="equal(60)")
    training = TrainingConfig(asynchronous=clock)
    check_values(dimensions, training)
    assert first_values(dimensions) == {"outage_rate": 1e-6, "outage_seconds": 10}
    with pytest.raises(ValueError, match=r"^'outage_seconds=10.*`outage_rate` must be"):
        check_values(dimensions[1:], training)


def test_settings_are_as_their_flags_take_them():
    assert setting_text((32, 16)) == "32,16"
    assert setting_text(0.1 + 0.2) == "0.30000000000000004"
    assert setting_text(3) == "3"
    assert setting_text("adam") == "adam"
