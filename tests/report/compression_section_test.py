"""AUC over bytes: in sections, tables and the summary behind them."""

import dataclasses

import pytest

from tests.report.sample import sample_record, sample_study
from tff_finance.evaluation.summary import build_summary
from tff_finance.report.catalogue import LANGUAGES, Words
from tff_finance.report.compression_section import compression_section

COMPRESSED = "fed_avg_quantized"
# FedAvg keeps round 3: 0.792 is wanted, of round 2 here and of round 4 there.
AUC = {"fed_avg": [0.6, 0.795, 0.8, 0.81, 0.7, 0.7]}
AUC[COMPRESSED] = [0.6, 0.7, 0.79, 0.793, 0.7, 0.7]


def with_compressed(rows):
    """The rows, and those of FedAvg once more under the name of the other method."""
    return (
        *rows,
        *(
            dataclasses.replace(row, method=COMPRESSED)
            for row in rows
            if row.method == "fed_avg"
        ),
    )


def runs(record):
    for row in with_compressed(record.runs):
        if row.method in {"local", "centralized"}:
            yield row
            continue
        up = 50 if row.method == "fed_avg" else 5
        yield dataclasses.replace(
            row,
            bytes_up=2 * up * row.rounds,
            institution_bytes_up=up,
            institution_bytes_down=500,
            source="type signature" if row.method == "fed_avg" else "encoding",
        )


@pytest.fixture(scope="module")
def record():
    sample = sample_record()
    return dataclasses.replace(
        sample,
        config=sample.config | {"methods": [*sample.config["methods"], COMPRESSED]},
        metrics=with_compressed(sample.metrics),
        curves=tuple(
            dataclasses.replace(row, validation_auc=AUC[row.method][row.round - 1])
            if row.method in AUC
            else row
            for row in with_compressed(sample.curves)
        ),
        runs=tuple(runs(sample)),
        histograms=with_compressed(sample.histograms),
    )


def test_summary_has_bytes_to_99_percent_of_fed_avg(record):
    """1,000 bytes down in a round, and 100 or 10 up; 12 of validation in all."""
    summary = build_summary(record)
    reach = summary["to_99_percent_of_fed_avg"]
    assert list(reach) == ["fed_avg", COMPRESSED]
    assert reach["fed_avg"]["rounds"]["values"] == [2, 2, 2]
    assert reach[COMPRESSED]["rounds"]["values"] == [4, 4, 4]
    assert reach["fed_avg"]["bytes_up"]["median"] == 200
    assert reach[COMPRESSED]["bytes_up"]["median"] == 40
    assert reach[COMPRESSED]["bytes"]["values"][0] == pytest.approx(4 * 1010 + 12)
    assert list(summary["to_fed_avg"]) == [COMPRESSED]
    assert summary["to_fed_avg"][COMPRESSED]["auc"]["values"] == [0, 0, 0]
    communication = summary["methods"][COMPRESSED]["communication"]
    assert communication["institution_bytes_up"] == 5
    assert communication["source"] == "encoding"


@pytest.mark.parametrize("language", LANGUAGES)
def test_section_shows_both_methods(record, language):
    words = Words(language)
    section = compression_section(sample_study(record), words)
    (table,) = section.tables
    assert list(table.frame["method"]) == ["fed_avg", COMPRESSED]
    assert list(table.frame["times_less_than_fed_avg"]) == [1, 10]
    assert list(table.frame["bytes_up_to_99_percent"]) == [200, 40]
    assert [len(row) for row in table.rows] == 2 * [len(table.header)]
    assert table.rows[1][3:5] == ["40\N{NO-BREAK SPACE}B", "4.0\N{NO-BREAK SPACE}kB"]
    both, up = (picture.draw(words).axes[0] for picture in section.pictures)
    for axes, per_round in ((both, (1100, 1010)), (up, (100, 10))):
        assert axes.get_xscale() == "log"
        starts = [line.get_xdata()[0] * 1e6 for line in axes.lines]
        assert starts == pytest.approx(per_round)


def test_no_section_without_auc():
    assert compression_section(sample_study(), Words("en")) is None


def test_no_table_without_fed_avg(record):
    """The curves alone, of whatever was trained round by round."""
    without = dataclasses.replace(
        record,
        config=record.config | {"methods": ["local", "centralized", COMPRESSED]},
        **{
            kind: tuple(r for r in getattr(record, kind) if r.method != "fed_avg")
            for kind in ("metrics", "curves", "runs", "histograms")
        },
    )
    section = compression_section(sample_study(without), Words("en"))
    assert section.tables == []
    assert len(section.pictures) == 2
