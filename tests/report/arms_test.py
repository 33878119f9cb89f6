"""Arms of terminal risk as text and as a figure, from `terminal_risk.json` alone."""

import io

import rich.console

from tff_finance.report.arms_console import print_arms
from tff_finance.report.arms_figure import draw_arms

METRICS = ("auc", "average_precision")


def value(mean):
    return {
        "mean": mean,
        "ci95": [mean - 0.05, mean + 0.04],
        "over_seeds": {"sd": 0.01},
    }


def result():
    means = {"own": 0.61, "pooled": 0.73, "federated": 0.72}
    return {
        "seeds": [1, 2],
        "values": {
            arm: {
                method: {metric: value(mean + more) for metric in METRICS}
                for method, more in (("local", 0.0), ("fed_avg", 0.1))
            }
            for arm, mean in means.items()
        },
        "differences": [
            {
                "arm": "federated",
                "method": "fed_avg",
                "reference_arm": "own",
                "reference_method": "fed_avg",
                "metrics": {metric: value(0.11) for metric in METRICS},
            }
        ],
    }


def test_text_has_all_values_and_differences():
    stream = io.StringIO()
    print_arms(result(), rich.console.Console(file=stream, width=160))
    text = " ".join(stream.getvalue().split())
    assert "Mean of 2 seeds" in text
    for number in ("0.6100", "0.7300", "0.8200", "[0.7700, 0.8600]"):
        assert number in text
    assert "federated fed_avg minus own fed_avg: auc +0.1100 [+0.0600, +0.1500]" in text


def test_figure_has_a_marker_for_each_arm_and_method(tmp_path):
    draw_arms(result(), tmp_path / "arms.svg")
    svg = (tmp_path / "arms.svg").read_text()
    for text in (
        "61.0",
        "72.0",
        "73.0",
        "82.0",
        "Average precision, %",
        "own payments",
    ):
        assert text in svg
    draw_arms(result(), tmp_path / "arms.png")
    assert (tmp_path / "arms.png").read_bytes().startswith(b"\x89PNG")
