"""The sweep: one table and one figure, for its binary and for the page."""

import pytest

from tests.evaluation.hand_made import make_record
from tff_finance.evaluation.summary import build_summary
from tff_finance.report import styles
from tff_finance.report.catalogue import Words
from tff_finance.report.sweep_section import (
    COLUMNS,
    draw_heterogeneity_sweep,
    sweep_section,
    sweep_table,
)


@pytest.fixture
def summaries():
    found = []
    for level in (0.0, 0.5):
        summary = build_summary(make_record())
        summary["config"] = summary["config"] | {"heterogeneity": level}
        found.append(summary)
    return found


def test_table_has_a_row_for_each_level_and_line(summaries):
    table = sweep_table(summaries)
    assert tuple(table.columns) == COLUMNS
    assert len(table) == 2 * 5
    row = table.query(
        "heterogeneity == 0.5 and method == 'local' and rows == 'own_mean'"
    )
    value = summaries[1]["methods"]["local"]["own_mean"]["accuracy"]
    assert row[["accuracy", "ci95_low", "ci95_high"]].to_numpy().tolist() == [
        [value["mean"], *value["ci95"]]
    ]


def test_one_seed_has_no_bars(summaries):
    for summary in summaries:
        for method in summary["methods"].values():
            for part in ("own_mean", "others_mean", "pooled"):
                method[part]["accuracy"]["ci95"] = None
    table = sweep_table(summaries)
    assert table["ci95_low"].isna().all()
    (picture,) = sweep_section(table, Words("en")).pictures
    with styles.drawing(Words("en")):
        picture.draw(Words("en"))


def test_an_undefined_level_is_no_number(summaries):
    summaries[1]["methods"]["local"]["pooled"]["accuracy"] = {
        "mean": None,
        "ci95": None,
        "reason": "undefined",
    }
    section = sweep_section(sweep_table(summaries), Words("en"))
    assert "nan" not in section.pictures[0].alt
    assert any("n/a" in row for row in section.tables[0].rows)


def test_lines_differ_without_colour(summaries):
    (picture,) = sweep_section(sweep_table(summaries), Words("en")).pictures
    with styles.drawing(Words("en")):
        figure = picture.draw(Words("en"))
    lines = [container.lines[0] for container in figure.axes[0].containers]
    assert len({line.get_marker() for line in lines}) == len(lines) == 5


def test_picture_is_written(summaries, tmp_path):
    draw_heterogeneity_sweep(summaries, tmp_path / "sweep.png")
    assert (tmp_path / "sweep.png").read_bytes().startswith(b"\x89PNG")
