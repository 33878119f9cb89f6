"""The figure of attacks and aggregations, from `robustness.json` alone."""

from tff_finance.report.robustness_figure import draw_robustness


def value(mean):
    return {"mean": mean, "ci95": [mean - 0.01, mean + 0.02]}


def test_figure_has_a_number_for_each_attack_and_method(tmp_path):
    means = {
        ("none", "fed_avg"): 0.911,
        ("none", "fed_avg_median"): 0.902,
        ("sign_flip", "fed_avg"): 0.503,
        ("sign_flip", "fed_avg_median"): 0.894,
    }
    attacks = {}
    for (attack, method), mean in means.items():
        attacks.setdefault(attack, {})[method] = {"accuracy": value(mean)}
    path = tmp_path / "robustness.svg"
    draw_robustness({"attacks": attacks}, path)
    svg = path.read_text()
    for text in ("91.1", "90.2", "50.3", "89.4", "Together: median", "all honest"):
        assert text in svg
