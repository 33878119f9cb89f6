"""The page as text: complete, self-contained, accessible, from any record."""

import collections
import dataclasses
import functools
import re

import matplotlib.text
import numpy as np
import pytest

from tests.evaluation.hand_made import undefine, with_test_rows
from tests.report.sample import sample_record, sample_study
from tff_finance.records import files
from tff_finance.report import styles
from tff_finance.report.catalogue import LANGUAGES, Words
from tff_finance.report.learning_section import learning_section
from tff_finance.report.page import build_page, render_page, write_page


def rendered(*records, language="en", figures=True):
    """The page; without figures, which take most of the time, if only words count."""
    words = Words(language)
    several = len(records) > 1
    studies = [
        sample_study(record, key=f"run{n}_" if several else "")
        for n, record in enumerate(records, start=1)
    ]
    page = build_page(studies, words)
    pictures = [picture for section in page.sections for picture in section.pictures]
    inline = {} if figures else {picture.name: "<svg></svg>" for picture in pictures}
    text = render_page(page, words, folder="report_files", inline=inline)
    for nonsense in (">None", ">nan", "%(", "{{"):
        assert nonsense not in text
    return text


@functools.cache
def default_page():
    return rendered(sample_record())


@pytest.mark.parametrize("language", LANGUAGES)
def test_page_names_its_language_and_needs_nothing(language):
    text = rendered(sample_record(), language=language)
    assert f'<html lang="{Words(language).html_language}">' in text
    assert "<script" not in text
    assert (
        re.findall(r'\b(?:src|href|xlink:href)="(?!#|data:|report_files/)', text) == []
    )
    # Names of XML vocabularies are no addresses that anybody asks.
    addresses = set(re.findall(r'https?://[^"\s<]+', text))
    assert addresses <= {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}


def test_no_id_is_used_twice_and_every_reference_is_met():
    text = rendered(sample_record(), sample_record(seeds=(3, 8)))
    ids = re.findall(r'\bid="([^"]+)"', text)
    assert [i for i, n in collections.Counter(ids).items() if n > 1] == []
    assert set(re.findall(r'href="#([^"]+)"', text)) <= set(ids)
    assert set(re.findall(r"url\(#([^)]+)\)", text)) <= set(ids)


def test_every_figure_has_a_text_and_every_table_a_caption():
    text = default_page()
    assert text.count("<figure>") == len(
        re.findall(r'role="img" aria-label="[^"]+"', text)
    )
    assert text.count("<table>") == text.count("<caption>")


@pytest.mark.parametrize(
    "record",
    [
        sample_record(seeds=(3,)),
        sample_record(methods=("local",)),
        sample_record(methods=("fed_avg",)),
        sample_record(methods=("centralized",)),
        dataclasses.replace(sample_record(), histograms=(), features=(), curves=()),
        undefine(sample_record(), "All 3 rows are negative.", metric="auc"),
        undefine(sample_record(), "The table has no rows.", method="fed_avg"),
        with_test_rows(sample_record(), "bank_a", 3, test_rows=20, test_positives=4),
    ],
    ids=["seed", "local", "fed", "pooled", "bare", "auc", "method", "few"],
)
def test_any_record_makes_a_page(record):
    assert "</html>" in rendered(record)


def test_undefined_values_stand_with_their_reason():
    record = undefine(sample_record(), "All 3 rows are negative.", metric="auc")
    assert "全部 3 行均为负类。" in rendered(record, language="zh", figures=False)
    assert "All 3 rows are negative." in rendered(record, figures=False)
    assert "Every value on this page is defined." in default_page()


def test_differing_settings_are_named():
    other = sample_record()
    other = dataclasses.replace(other, config=other.config | {"heterogeneity": 0.25})
    text = rendered(sample_record(), other, figures=False)
    row = re.search(r'<tr><th scope="row">Heterogeneity</th>(.*?)</tr>', text)[1]
    assert row == "<td>1.0</td><td>0.25</td>"


def test_a_run_of_one_seed_is_named_beside_others():
    text = rendered(sample_record(), sample_record(seeds=(3,)), figures=False)
    assert "A run of one seed has no intervals" in text
    assert "No value of this run has an interval" in text
    assert "A run of one seed" not in rendered(
        sample_record(), sample_record(), figures=False
    )


def test_runs_of_other_methods_stand_side_by_side():
    text = rendered(
        sample_record(methods=("local",)),
        sample_record(methods=("fed_avg", "centralized")),
        figures=False,
    )
    row = re.search(r'<tr><th scope="row">Methods</th>(.*?)</tr>', text)[1]
    assert "Each bank alone" in row
    assert "Together: FedAvg, Rows pooled" in row


def test_an_experiment_without_scenario_can_be_compared():
    other = sample_record()
    config = {
        k: v for k, v in other.config.items() if k not in {"scenario", "heterogeneity"}
    }
    other = dataclasses.replace(other, config=config, experiment="another_study")
    text = rendered(sample_record(), other, figures=False)
    assert "Run 2: another_study</h2>" in text


def test_rounds_without_validation_leave_no_gap_in_the_losses():
    record = sample_record()
    curves = tuple(
        dataclasses.replace(row, validation_loss=None, validation_accuracy=None)
        if row.method == "fed_avg" and row.round % 2 == 0
        else row
        for row in record.curves
    )
    study = sample_study(dataclasses.replace(record, curves=curves))
    section = learning_section(study, Words("en"))
    picture = section.pictures[-1]
    with styles.drawing(Words("en")):
        figure = picture.draw(Words("en"))
    for axes in figure.axes:
        for line in axes.lines:
            assert not np.isnan(line.get_ydata()).any()


def test_names_from_a_record_are_no_markup():
    record = sample_record()
    banks = tuple(
        dataclasses.replace(row, institution=row.institution.replace("_a", "<b>"))
        for row in record.institutions
    )
    metrics = tuple(
        dataclasses.replace(
            row,
            model=row.model.replace("_a", "<b>"),
            institution=row.institution.replace("_a", "<b>"),
        )
        for row in record.metrics
    )
    record = dataclasses.replace(
        record, institutions=banks, metrics=metrics, histograms=(), features=()
    )
    assert "<b>" not in rendered(record)


def test_writes_figures_and_tables_beside_the_page(tmp_path):
    words = Words("en")
    page = build_page([sample_study()], words)
    write_page(page, words, tmp_path / "out" / "report.html")
    folder = tmp_path / "out" / "report_files"
    names = {path.name for path in folder.iterdir()}
    text = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert set(re.findall(r'href="report_files/([^"]+)"', text)) == names
    assert (folder / "headline.png").read_bytes().startswith(b"\x89PNG")
    gain = files.read_csv(folder / "gain.csv", text_columns=("reason",))
    study = sample_study()
    value = study.summary["gain"]["bank_b"]["fed_avg"]["accuracy"]
    row = gain.query(
        "institution == 'bank_b' and method == 'fed_avg' and metric == 'accuracy'"
    )
    assert row[["mean", "ci95_low", "ci95_high"]].to_numpy().tolist() == [
        [value["mean"], *value["ci95"]]
    ]


def test_numbers_in_figures_keep_their_digits():
    text = default_page()
    for tick in ("0.001", "99.999"):
        assert f">{tick}</text>" in text


def test_every_figure_is_drawn_once(tmp_path):
    drawn = collections.Counter()

    def counted(picture):
        def draw(words):
            drawn[picture.name] += 1
            return picture.draw(words)

        return dataclasses.replace(picture, draw=draw)

    words = Words("en")
    page = build_page([sample_study()], words)
    parts = [
        dataclasses.replace(
            part,
            sections=[
                dataclasses.replace(s, pictures=[counted(p) for p in s.pictures])
                for s in part.sections
            ],
        )
        for part in page.parts
    ]
    write_page(dataclasses.replace(page, parts=parts), words, tmp_path / "report.html")
    assert len(drawn) > 8
    assert set(drawn.values()) == {1}


def test_the_same_record_gives_the_same_page():
    assert rendered(sample_record()) == default_page()


def luminance(color):
    channels = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [
        c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in channels
    ]
    return sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


@pytest.mark.parametrize("number", range(7))
def test_series_have_contrast_and_their_own_line_and_marker(number):
    style = styles.series_style(number)
    assert 1.05 / (luminance(style.color) + 0.05) >= 4.5
    others = [styles.series_style(n) for n in range(7) if n != number]
    assert style.marker not in {other.marker for other in others}
    assert style.line not in [other.line for other in others]


def test_text_colours_of_the_page_have_contrast():
    text = default_page()
    colors = dict(re.findall(r"--(\w+): (#[0-9a-f]{6})", text))
    for paper in ("paper", "tint"):
        for ink in ("ink", "soft", "mark"):
            light, dark = luminance(colors[paper]), luminance(colors[ink])
            assert (light + 0.05) / (dark + 0.05) >= 4.5, (ink, paper)


def real_record(task):
    """A record of a comparison on tables whose label means anything."""
    record = sample_record()
    config = {k: v for k, v in record.config.items() if k != "heterogeneity"}
    ranking = [
        dataclasses.replace(row, metric="average_precision")
        for row in record.metrics
        if row.metric == "auc"
    ]
    return dataclasses.replace(
        record,
        experiment="comparison",
        metrics=(*record.metrics, *ranking),
        config=config
        | {"task": task, "dataset": "own tables", "files": [], "contract": "c"},
        scenario={
            "description": "made",
            "label_meaning": "it went badly",
            "protected_features": [],
            "left_out": {},
        },
    )


def pictured(record, language):
    """All that is written in a page's figures."""
    words = Words(language)
    page = build_page([sample_study(record)], words)
    return " ".join(
        text.get_text()
        for section in page.sections
        for picture in section.pictures
        for text in picture.draw(words).findobj(matplotlib.text.Text)
    )


@pytest.mark.parametrize("task", ["risk", "marketing", "fraud"])
def test_rows_of_real_tables_are_positive_and_default_on_nothing(task):
    for language, never in (("en", "default"), ("zh", "违约")):
        text = rendered(real_record(task), language=language, figures=False)
        assert never not in text.lower()
        assert "it went badly" in text
        assert never not in pictured(real_record(task), language).lower()


def test_customers_of_the_case_study_default():
    for language, said in (("en", "Predicted probability of default"), ("zh", "违约")):
        assert said in pictured(sample_record(), language)
