"""Words: none lacks a translation, none is left over, none loses a value."""

import pathlib
import re

import babel.messages.extract
import pytest

from tff_finance.report import labels
from tff_finance.report.catalogue import Words, read_catalogue

ROOT = pathlib.Path(__file__).resolve().parents[2]
REPORT = ROOT / "tff_finance" / "report"
KEYWORDS = {"say": None, "mark": None, "_": None}


def english():
    """Every text that the source or a template says."""
    found = babel.messages.extract.extract_from_dir(
        REPORT,
        [("**.py", "python"), ("templates/**.html", "jinja2")],
        {"**.html": {"trimmed": "true"}},
        keywords=KEYWORDS,
    )
    return {message for _, _, message, *_ in found}


@pytest.fixture(scope="module")
def chinese():
    return {m.id: m for m in read_catalogue("zh") if m.id}


def test_there_are_words():
    assert len(english()) > 200


def test_every_text_is_translated_and_every_translation_used(chinese):
    assert set(chinese) == english()
    assert [m.id for m in chinese.values() if not m.string or m.fuzzy] == []


def test_translations_have_the_same_values(chinese):
    for message in chinese.values():
        names = [
            sorted(re.findall(r"%\(\w+\)s", t)) for t in (message.id, message.string)
        ]
        assert names[0] == names[1], message.id
        # "%%" stands for "%" exactly where there are values.
        if names[0]:
            assert "%" not in re.sub(r"%\(\w+\)s|%%", "", message.string), message.id


def test_translations_are_chinese(chinese):
    for message in chinese.values():
        words = re.sub(r"%\(\w+\)s|FedAvg|FedSGD|AUC|KS", "", message.id)
        if re.search(r"[a-z]{2}", words):
            assert re.search(r"[\u4e00-\u9fff]", message.string), message.id


@pytest.mark.parametrize(
    ("language", "expected"), [("en", "96.5\N{NO-BREAK SPACE}%"), ("zh", "96.5%")]
)
def test_percent(language, expected):
    assert Words(language).percent(0.96512) == expected


@pytest.mark.parametrize(
    ("value", "sign", "expected"),
    [
        (-0.04, True, "0.0"),
        (-0.06, True, "\N{MINUS SIGN}0.1"),
        (1234.56, False, "1,234.6"),
        (0.3, True, "+0.3"),
    ],
)
def test_numbers_have_no_negative_zero(value, sign, expected):
    assert Words("en").number(value, 1, sign=sign) == expected


def test_sizes():
    words = Words("en")
    assert [words.size(n) for n in (0, 999, 81_600, 3_677_184, 2.5e11)] == [
        "0\N{NO-BREAK SPACE}B",
        "999\N{NO-BREAK SPACE}B",
        "81.6\N{NO-BREAK SPACE}kB",
        "3.7\N{NO-BREAK SPACE}MB",
        "250\N{NO-BREAK SPACE}GB",
    ]


def test_unknown_language_is_refused():
    with pytest.raises(ValueError, match="language"):
        Words("fr")


@pytest.mark.parametrize(
    ("remark", "expected"),
    [
        ("All 3 rows are negative.", "全部 3 行均为负类。"),
        ("not reached in 2 of 5 seeds", "5 个随机种子中有 2 个未达到"),
        ("something new", "something new"),
    ],
)
def test_remarks_of_records_are_translated(remark, expected):
    assert labels.remark(remark, Words("zh")) == expected
