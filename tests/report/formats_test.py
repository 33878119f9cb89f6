"""Values as text never read as another claim than the one they carry."""

import pytest

from tff_finance.report import formats
from tff_finance.report.catalogue import Words

WORDS = Words("en")


def text(mean, interval):
    value = {"mean": mean, "ci95": interval}
    return formats.points(value, WORDS).replace("\N{NO-BREAK SPACE}", " ")


@pytest.mark.parametrize(
    ("mean", "interval", "expected"),
    [
        (0.02, [0.011, 0.029], "+2.0 (+1.1 to +2.9)"),
        # A limit that excludes 0 must not read as 0.
        (-0.008, [-0.0167, -0.0003], "~0.80 (~1.67 to ~0.03)"),
        (0.001, [0.00002, 0.00198], "+0.100 (+0.002 to +0.198)"),
        # 0 itself reads as 0, and needs no digits.
        (0.01, [0.0, 0.02], "+1.0 (0.0 to +2.0)"),
        (0.01, None, "+1.0 (no interval)"),
        (None, None, "n/a"),
    ],
)
def test_points_have_digits_enough(mean, interval, expected):
    assert text(mean, interval) == expected.replace("~", "\N{MINUS SIGN}")


def test_what_holds_at_once_is_found_where_it_is():
    value = {"mean": 0.1, "simultaneous": {"size": 2, "ci95": [-0.1, 0.3]}}
    found = formats.together([value, {"mean": None}])
    assert found == [value["simultaneous"]]
    assert formats.excluding_zero(found) == 0
    assert formats.excluding_zero([{"ci95": [0.1, 0.2]}, {"ci95": None}]) == 1
    assert formats.flat_together(value)["together_ci95_high"] == 0.3
    assert formats.flat_together({"mean": None})["together_ci95_low"] is None
