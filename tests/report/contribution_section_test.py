"""The section on contributions: what was trained, and no more than numbers show."""

import copy
import dataclasses

import pytest

from tests.evaluation.contribution_summary_test import BOTH, with_contributions
from tests.evaluation.hand_made import BANKS, SEEDS, make_record
from tests.report.sample import sample_record, sample_study
from tff_finance.report import styles
from tff_finance.report.catalogue import LANGUAGES, Words
from tff_finance.report.content import Study
from tff_finance.report.contribution_section import (
    contribution_finding,
    contribution_section,
)
from tff_finance.report.page import build_page, render_page

WORDS = Words("en")


def study_with(**options):
    return sample_study(with_contributions(sample_record(), **options))


def changed(study, change):
    """The study with another summary of contributions."""
    summary = copy.deepcopy(dict(study.summary))
    change(summary["contribution"])
    return dataclasses.replace(study, summary=summary)


def without_shapley(study):
    return changed(study, lambda found: found.update(shapley=None))


def of_real_tables(study):
    """Values with a spread over seeds, and without intervals."""

    def spread(found):
        for kind in ("shapley", "leave_one_out"):
            cells = [found[kind]["pooled"], *found[kind]["own"].values()]
            for value in (v for cell in cells for v in cell.values()):
                value |= {"ci95": None, "over_seeds": {"sd": 0.0123}}

    study = changed(study, spread)
    config = study.summary["config"] | {"dataset": "taiwan"}
    return dataclasses.replace(study, summary=study.summary | {"config": config})


def drawn(section):
    figures = []
    with styles.drawing(WORDS):
        for picture in section.pictures:
            assert "nan" not in picture.alt
            figures.append(picture.draw(WORDS))
    return figures


def test_nobody_asked():
    study = sample_study()
    assert contribution_section(study, WORDS) is None
    assert contribution_finding(study, WORDS) == ""
    older = {k: v for k, v in study.summary.items() if k != "contribution"}
    older = Study(key="", record=study.record, summary=older)
    assert contribution_section(older, WORDS) is None


def test_section_has_contributions_and_coalitions():
    study = study_with()
    section = contribution_section(study, WORDS)
    banks, own, coalitions = section.tables
    shares = study.summary["contribution"]["shapley"]["pooled"]
    assert [row[0] for row in banks.rows] == list(BANKS)
    assert banks.rows[0][1].startswith(f"+{shares['bank_a']['mean']:.4f} (")
    assert own.header[1:] == ["by bank_a", "by bank_b"]
    assert [row[0] for row in coalitions.rows] == ["bank_a, bank_b", *BANKS]
    assert len(banks.frame) == 2 * 2
    assert len(own.frame) == 2 * 2 * 2
    assert len(coalitions.frame) == 3 * 3
    assert any("3 of 9 trainings" in note for note in section.notes)


def test_bars_are_the_means_with_their_intervals():
    study = study_with()
    figure, _ = drawn(contribution_section(study, WORDS))
    (axes,) = figure.axes
    found = study.summary["contribution"]
    widths = [patch.get_width() for patch in axes.patches]
    values = [
        found[kind]["pooled"][bank]
        for kind in ("shapley", "leave_one_out")
        for bank in BANKS
    ]
    assert widths == pytest.approx([100 * value["mean"] for value in values])
    whiskers = [line.get_xdata() for line in axes.lines if len(line.get_xdata()) == 2]
    whiskers = [ends for ends in whiskers if list(ends) != [0, 0]]
    for ends, value in zip(whiskers, [values[0], values[1]], strict=False):
        assert ends == pytest.approx([100 * limit for limit in value["ci95"]])


def test_finding_names_every_bank_with_its_interval():
    text = contribution_finding(study_with(), WORDS)
    assert text.startswith("Of what FedAvg adds to an AUC of 0.5 on all rows")
    for bank in BANKS:
        assert f"{bank} +0." in text
    assert text.count("\N{NO-BREAK SPACE}to\N{NO-BREAK SPACE}") == len(BANKS)


def test_leave_one_out_alone():
    study = without_shapley(study_with())
    section = contribution_section(study, WORDS)
    drawn(section)
    assert "Shapley" not in " ".join(section.paragraphs)
    assert section.tables[0].header == ["Bank", "Leave-one-out"]
    assert "loses without each bank: bank_a +0." in contribution_finding(study, WORDS)


def test_many_banks_are_told_by_the_least_and_the_greatest():
    def many(found):
        value = found["leave_one_out"]["pooled"]["bank_a"]
        found["leave_one_out"]["pooled"] = {
            f"bank_{n}": value | {"mean": n / 100} for n in range(-1, 7)
        }

    text = contribution_finding(changed(without_shapley(study_with()), many), WORDS)
    assert "from \N{MINUS SIGN}0.0100 (bank_-1) to +0.0600 (bank_6)" in text


def test_real_tables_show_the_spread_and_claim_no_interval():
    study = of_real_tables(study_with())
    section = contribution_section(study, WORDS)
    drawn(section)
    assert "± 0.0123" in section.tables[0].rows[0][1]
    assert any("standard deviation over seeds" in note for note in section.notes)
    assert "interval" not in " ".join(section.tables[0].rows[0])
    assert section.tables[0].frame["sd_over_seeds"].tolist() == [0.0123] * 4


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("seeds", [SEEDS, (3,)])
def test_page_has_the_section(language, seeds):
    words = Words(language)
    study = sample_study(with_contributions(sample_record(seeds=seeds), seeds=seeds))
    page = build_page([study], words)
    inline = {p.name: "<svg></svg>" for s in page.sections for p in s.pictures}
    text = render_page(page, words, folder="f", inline=inline)
    assert 'id="contribution"' in text
    for nonsense in (">None", ">nan", "%("):
        assert nonsense not in text


def test_undefined_values_are_drawn_and_said():
    record = with_contributions(make_record())
    rows = tuple(
        dataclasses.replace(row, value=None, reason="All 3 rows are negative.")
        for row in record.coalitions
    )
    study = sample_study(dataclasses.replace(record, coalitions=rows))
    section = contribution_section(study, WORDS)
    drawn(section)
    assert section.tables[0].rows[0][1:] == ["n/a", "n/a"]
    assert BOTH.replace("/", ", ") == section.tables[2].rows[0][0]


def test_settings_name_the_method_only_if_it_was_asked_for():
    record = with_contributions(make_record())
    for asked, shown in (
        (None, False),
        ({"method": "fed_avg", "coalitions": "all"}, True),
    ):
        config = record.config | {"contribution": asked}
        study = sample_study(dataclasses.replace(record, config=config))
        table = build_page([study], WORDS).closing[-1].tables[0]
        names = [row[0] for row in table.rows]
        assert ("Contributions to the model of" in names) == shown
        assert "contribution" not in names
