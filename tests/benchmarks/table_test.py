"""The table, and the refusal to compare different work."""

import pytest

from benchmarks import table
from tff_finance.checks import RunFailedError


def result(contestant, seconds, loss):
    return {
        "contestant": contestant,
        "workload": "W1",
        "sec_per_round": seconds,
        "startup_s": 5.0,
        "peak_rss_mb": 1234.0,
        "final_loss": loss,
    }


def test_ratios_are_to_stock():
    text = table.side_by_side(
        [result("ours", 0.02, 0.5), result("stock", 0.3, 0.5)], rounds=7
    )
    assert "| ours | 0.0200 | 15.0 | 5.0 | 1,234 | 0.500000 |" in text
    assert "| stock | 0.3000 | 1.0 |" in text
    assert text.startswith("W1, 7 rounds")


@pytest.mark.parametrize("loss", [0.502, float("nan")])
def test_different_losses_are_refused(loss):
    table.check_same_work([result("ours", 1, 0.5009), result("stock", 1, 0.5)])
    with pytest.raises(RunFailedError, match="the same work"):
        table.check_same_work([result("ours", 1, loss), result("stock", 1, 0.5)])
