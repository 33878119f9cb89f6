"""Simulated time as it is asked for: by text or file, and what makes no sense."""

import dataclasses
import json

import pytest

from tff_finance.records.asynchronous_config import (
    FROM_FILE,
    AsynchronousConfig,
    InstitutionTimes,
)
from tff_finance.records.institution_times import read_institution_times

BANK_A = InstitutionTimes(
    institution="007", seconds=60, upload_seconds=2.5, outages=((0, 5), (7.5, 9))
)


def test_comes_back_from_json():
    config = AsynchronousConfig(
        institution_seconds=FROM_FILE,
        institutions=(BANK_A,),
        max_staleness=3,
        outage_rate=1e-3,
        outage_seconds=60,
    )
    mapping = json.loads(json.dumps(dataclasses.asdict(config)))
    assert AsynchronousConfig.from_mapping(mapping) == config
    assert AsynchronousConfig.from_mapping({}) == AsynchronousConfig()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("equal(60)", ("equal", (60,))),
        (" lognormal( 1e2 ,0.5) ", ("lognormal", (100, 0.5))),
        ("one_slow(0.5,10)", ("one_slow", (0.5, 10))),
    ],
)
def test_distributions(text, expected):
    assert AsynchronousConfig(institution_seconds=text).distribution == expected


@pytest.mark.parametrize(
    "text",
    ["60", "equal(60,1)", "lognormal(60)", "normal(60,1)", "equal(e)", "equal(60) s"],
)
def test_other_texts_are_refused(text):
    with pytest.raises(ValueError, match=r"`institution_seconds` must be a CSV or"):
        AsynchronousConfig(institution_seconds=text)


@pytest.mark.parametrize("text", ["equal(0)", "lognormal(-1,1)", "one_slow(60,0)"])
def test_times_are_positive(text):
    with pytest.raises(ValueError, match="`institution_seconds` must be positive"):
        AsynchronousConfig(institution_seconds=text)


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"buffer_size": 0}, "`buffer_size` must be at least 1"),
        ({"staleness_exponent": -1.1}, "`staleness_exponent` must be at least -1"),
        ({"max_staleness": -1}, "`max_staleness` must be at least 0"),
        ({"fed_buff_rounds": 0}, "`fed_buff_rounds` must be at least 1"),
        ({"max_simulated_seconds": 60.0}, "`institution_seconds` must be given"),
        (
            {"institution_seconds": "equal(60)", "outage_seconds": 1.0},
            "`outage_rate` must be given with `outage_seconds`",
        ),
        ({"institution_seconds": FROM_FILE}, "`institutions` must be given"),
        ({"institutions": (BANK_A,)}, "`institutions` must be given"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings, named):
    with pytest.raises(ValueError, match=named):
        AsynchronousConfig(**settings)


def test_outages_need_a_clock_which_fed_buff_has():
    outages = {"outage_rate": 0.1, "outage_seconds": 1.0}
    config = AsynchronousConfig(**outages)
    with pytest.raises(ValueError, match="`institution_seconds` must be given with"):
        config.check_outages(["local", "fed_avg"])
    config.check_outages(["fed_avg", "fed_buff"])
    timed = AsynchronousConfig(institution_seconds="equal(60)", **outages)
    timed.check_outages(["fed_avg"])


def test_files_of_both_kinds_say_the_same(tmp_path):
    table = tmp_path / "times.csv"
    table.write_text("institution,seconds,upload_seconds\n007,60,2.5\nb,600,0\n")
    toml = tmp_path / "times.toml"
    toml.write_text(
        '["007"]\nseconds = 60\nupload_seconds = 2.5\noutages = [[0, 5], [7.5, 9]]\n'
        "[b]\nseconds = 600\n"
    )
    first, second = read_institution_times(toml)
    assert first == BANK_A
    assert first.round_seconds == 62.5
    without = dataclasses.replace(first, outages=())
    assert read_institution_times(table) == (without, second)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("institution,minutes\na,1\n", "it lacks \\['seconds'\\], and \\['minutes'\\]"),
        ("institution,seconds\na,1\na,2\n", "each once; got \\['a', 'a'\\]"),
        ("institution,seconds\na,soon\n", "could not convert"),
        ("institution,seconds\na,0\n", "`seconds of a` must be positive"),
        ("institution,seconds\n", "must name institutions"),
        ("", "times.csv has no institutions' times"),
    ],
)
def test_files_that_make_no_sense_are_refused(tmp_path, text, named):
    path = tmp_path / "times.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=named):
        read_institution_times(path)


def test_outages_in_disorder_are_refused(tmp_path):
    path = tmp_path / "times.toml"
    path.write_text("[a]\nseconds = 1\noutages = [[5, 9], [8, 10]]\n")
    with pytest.raises(ValueError, match="`outages of a` must be intervals in asc"):
        read_institution_times(path)
    with pytest.raises(ValueError, match=r"missing\.toml has no institutions' times"):
        read_institution_times(tmp_path / "missing.toml")
