"""Means with their intervals, in rows."""

import pytest

from tff_finance.report import styles
from tff_finance.report.catalogue import Words
from tff_finance.report.interval_figure import Series, draw_intervals

WORDS = Words("en")
VALUES = (
    {"mean": 0.5, "ci95": [0.4, 0.6]},
    {"mean": -0.5, "ci95": [-1.2, 0.2]},
    {"mean": 0.1, "ci95": None},
    {"mean": None, "reason": "undefined"},
    None,
)
ROWS = [f"row {number}" for number in range(len(VALUES))]


def drawn(**options):
    series = Series(label="a", color="#0b5a8a", marker="s", values=VALUES)
    with styles.drawing(WORDS):
        figure = draw_intervals(ROWS, [series], WORDS, axis="axis", **options)
    return figure.axes[0]


def markers(axes):
    """Place and fill of every marker with a mean."""
    lines = [c.lines[0] for c in axes.containers]
    return [
        (line.get_xdata()[0], line.get_ydata()[0], line.get_markerfacecolor())
        for line in lines
    ]


def test_values_stand_in_their_rows_in_percent():
    places = [(x, y) for x, y, _ in markers(drawn())]
    assert places == [(50, 0), (-50, 1), (10, 2)]


def test_bars_reach_from_limit_to_limit():
    first, second, third = (c.lines[2][0].get_segments()[0] for c in drawn().containers)
    assert first[:, 0].tolist() == pytest.approx([40, 60])
    assert second[:, 0].tolist() == pytest.approx([-120, 20])
    assert third[:, 0].tolist() == pytest.approx([10, 10])


def test_markers_are_hollow_where_no_difference_is_excluded():
    fills = [fill for _, _, fill in markers(drawn(differences=True))]
    assert fills == ["#0b5a8a", "white", "white"]
    assert {fill for _, _, fill in markers(drawn())} == {"#0b5a8a"}


def test_means_are_written_if_wanted():
    assert [t.get_text() for t in drawn(numbers=True).texts] == [
        "50.0",
        "\N{MINUS SIGN}50.0",
        "10.0",
    ]
    assert list(drawn().texts) == []


def test_series_share_a_row_without_touching():
    series = [
        Series(label=name, color="#0b5a8a", marker="s", values=VALUES[:1])
        for name in "abc"
    ]
    with styles.drawing(WORDS):
        axes = draw_intervals(["row"], series, WORDS, axis="axis").axes[0]
    heights = [y for _, y, _ in markers(axes)]
    assert heights == sorted(heights)
    assert heights[1] == pytest.approx(0)
    assert max(map(abs, heights)) < 0.5
