"""AUC against simulated time: the picture shows each seed's steps and their mean."""

import matplotlib.figure
import numpy as np

from tff_finance.report import asynchronous_figure
from tff_finance.report.catalogue import Words

RESULT = {
    "tolerance": 0.002,
    "final_auc": {"fed_avg": {"mean": 0.9}},
    "runs": {
        "fed_avg": [
            {"seconds": [600, 7200], "auc": [0.85, 0.89], "end_seconds": 14400},
            {"seconds": [600, 3600], "auc": [0.87, 0.91], "end_seconds": 14400},
        ],
        "fed_buff": [
            {"seconds": [60, 1800], "auc": [0.86, 0.9], "end_seconds": 7200},
            {"seconds": [60, 900], "auc": [0.88, 0.9], "end_seconds": 7200},
        ],
    },
}


def test_writes_a_picture(tmp_path):
    asynchronous_figure.draw_asynchronous(RESULT, tmp_path / "figure.png")
    assert (tmp_path / "figure.png").read_bytes().startswith(b"\x89PNG")


def test_curves_are_steps_in_hours_and_their_mean():
    figure = asynchronous_figure._draw(RESULT, Words("en"))
    assert isinstance(figure, matplotlib.figure.Figure)
    (axes,) = figure.axes
    assert axes.get_xlabel() == "Simulated time, hours"
    one, other, mean, *_ = axes.lines
    hours, values = one.get_data()
    assert hours[-1] == 4
    assert np.isnan(values[0])  # before the first round has ended
    assert set(values[~np.isnan(values)]) == {0.85, 0.89}
    assert hours[values == 0.89].min() == np.min(hours[hours >= 2])
    np.testing.assert_allclose(
        mean.get_ydata(), (one.get_ydata() + other.get_ydata()) / 2
    )
    assert mean.get_label() == "FedAvg"
    assert axes.lines[-1].get_ydata()[0] == 0.898
