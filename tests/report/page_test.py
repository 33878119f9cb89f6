"""The page as text: complete, self-contained, accessible, from any record."""

import collections
import dataclasses
import functools
import re

import pytest

from tests.evaluation.hand_made import undefine, with_test_rows
from tests.report.sample import sample_record, sample_study
from tff_finance.records import files
from tff_finance.report import styles
from tff_finance.report.catalogue import LANGUAGES, Words
from tff_finance.report.page import build_page, render_page, write_page


def rendered(*records, language="en", sweep=None):
    words = Words(language)
    several = len(records) > 1
    studies = [
        sample_study(record, key=f"run{n}_" if several else "")
        for n, record in enumerate(records, start=1)
    ]
    page = build_page(studies, words, sweep=sweep)
    text = render_page(page, words, folder="report_files")
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
    assert "全部 3 行均为负类。" in rendered(record, language="zh")
    assert "All 3 rows are negative." in rendered(record)
    assert "Every value on this page is defined." in default_page()


def test_differing_settings_are_named():
    other = sample_record()
    other = dataclasses.replace(other, config=other.config | {"heterogeneity": 0.25})
    text = rendered(sample_record(), other)
    row = re.search(r'<tr><th scope="row">Heterogeneity</th>(.*?)</tr>', text)[1]
    assert row == "<td>1.0</td><td>0.25</td>"


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
