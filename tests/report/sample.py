"""A small record with everything that a report shows, made from literal numbers."""

import dataclasses

from tests.evaluation.hand_made import BANKS, METHODS, SEEDS, make_record
from tff_finance.evaluation.summary import build_summary
from tff_finance.metrics.score_histogram import FIRST_POSITIVE_BIN
from tff_finance.records.run_rows import FeatureRow, HistogramRow
from tff_finance.report.content import Study

# Rows of a model's histogram: distance from the middle bin, negatives, positives.
BINS = ((-600, 30, 2), (-100, 20, 6), (50, 7, 12), (500, 3, 20))


def histogram_rows(methods=METHODS, seeds=SEEDS):
    for seed in seeds:
        for method in methods:
            for model in BANKS if method == "local" else ("global",):
                for bank in BANKS:
                    for distance, negatives, positives in BINS:
                        yield HistogramRow(
                            seed=seed,
                            method=method,
                            model=model,
                            institution=bank,
                            bin=FIRST_POSITIVE_BIN + distance,
                            negatives=negatives,
                            positives=positives,
                        )


def feature_rows(seeds=SEEDS):
    for seed in seeds:
        for bank, mean in zip(BANKS, (-0.5, 0.5), strict=True):
            for feature, factor in (("age", 1.0), ("housing=own", -0.3)):
                yield FeatureRow(
                    seed=seed, institution=bank, feature=feature, mean=mean * factor
                )


def sample_record(**options):
    record = make_record(**options)
    # Every federated run stops elsewhere, every bank alone has its own curve.
    curves = tuple(
        dataclasses.replace(row, model=bank) if row.method == "local" else row
        for row in record.curves
        for bank in (BANKS if row.method == "local" else ("global",))
    )
    return dataclasses.replace(
        record,
        curves=curves,
        histograms=tuple(histogram_rows(**options)),
        features=tuple(feature_rows(options.get("seeds", SEEDS))),
    )


def by_other_method(record, method):
    """The same record as if it had another method in place of FedAvg."""

    def renamed(row):
        if getattr(row, "method", None) != "fed_avg":
            return row
        return dataclasses.replace(row, method=method)

    tables = {
        field.name: tuple(renamed(row) for row in getattr(record, field.name))
        for field in dataclasses.fields(record)
        if isinstance(getattr(record, field.name), tuple)
    }
    methods = [method if m == "fed_avg" else m for m in record.config["methods"]]
    config = record.config | {"methods": methods}
    return dataclasses.replace(record, config=config, **tables)


def sample_study(record=None, key=""):
    record = record or sample_record()
    return Study(key=key, record=record, summary=build_summary(record))


def sweep_lines():
    """The text of a sweep.csv."""
    lines = ["heterogeneity,method,rows,accuracy,ci95_low,ci95_high"]
    for level in (0, 0.5, 1):
        for method, rows in (
            ("local", "own_mean"),
            ("local", "pooled"),
            ("fed_avg", "pooled"),
        ):
            mean = 0.95 - 0.1 * level * (method == "local") * (rows == "pooled")
            lines.append(f"{level},{method},{rows},{mean},{mean - 0.01},{mean + 0.01}")
    return "\n".join(lines) + "\n"
