"""What was run: settings, seeds, versions; and what is undefined, and why."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from tff_finance.records.settings_of_methods import is_read
from tff_finance.records.training_settings import setting_name
from tff_finance.report import labels, setting_labels
from tff_finance.report.catalogue import Words, mark
from tff_finance.report.content import Section, Study, Table

# What a summary says of values that no bootstrap was made for.
NOT_COMPUTED = mark("no interval over test rows is computed for this value")
_TRAINING = "training."
_DP_SGD = "training.dp_sgd."
_PARTICIPATION = "training.participation."
_GUARANTEE = ("target_epsilon", "delta")


def settings_section(study: Study, words: Words) -> Section:
    """Settings, seeds and versions, and every value that does not exist."""
    say = words.say
    undefined = list(_undefined(study))
    notes, tables = [], [_settings_table(study, words)]
    if study.is_of_real_tables:
        notes.append(
            say(
                "Intervals over test rows are computed for accuracy, AUC, average "
                "precision, log loss and Brier score, on all banks' rows and on own "
                "rows; other values stand without."
            )
        )
        undefined = [row for row in undefined if row["reason"] != NOT_COMPUTED]
    if not undefined and study.methods and not study.is_of_real_tables:
        notes.append(say("Every value on this page is defined."))
    elif undefined and len(study.summary["seeds"]) == 1 and not study.is_of_real_tables:
        # The reason of nearly all; as a table it would be longer than the page.
        notes.append(say("No value of this run has an interval: it has one seed."))
        undefined = [row for row in undefined if not row["interval_only"]]
    if undefined:
        tables.append(_undefined_table(study, undefined, words))
    return Section(
        anchor=f"{study.key}settings",
        title=say("Settings, seeds and versions"),
        paragraphs=[_what_seeds_do(study, words)],
        tables=tables,
        notes=notes,
    )


def _what_seeds_do(study: Study, words: Words) -> str:
    if study.is_of_real_tables:
        return words.say(
            "The same settings and seeds give the same numbers on one machine. A seed "
            "draws split, initial model and order of batches, and the partition as "
            "far as it is left to chance."
        )
    if not study.methods:
        return words.say(
            "A seed redraws customers, split, initial models and what attackers draw. "
            "The noise of private training follows from no seed, so that its numbers "
            "differ a little from run to run."
        )
    return words.say(
        "The same settings and seeds give the same numbers on one machine. A "
        "seed redraws customers, split, initial model and order of batches."
    )


def flat_settings(study: Study) -> dict[str, Any]:
    """The configuration with dotted paths as keys, as far as a method reads it.

    Epsilon and delta have their unit at the end of the path: those of rows and those
    of customers are no values of one setting.

    Args:
        study: The study.

    Returns:
        Values by path; None of what is left open.
    """
    experiment = {"experiment": study.summary["experiment"]}
    config = {k: v for k, v in study.summary["config"].items() if v is not None}
    methods = {*study.methods, config.get("contribution", {}).get("method")}
    settings = {
        name: value
        for name, value in _flat(config).items()
        if not name.startswith(_TRAINING)
        or is_read(setting_name(name.removeprefix(_TRAINING)), methods)
    }
    _leave_out_unused(settings)
    return experiment | {_with_unit(k, settings): v for k, v in settings.items()}


def _leave_out_unused(settings: dict[str, Any]) -> None:
    """Takes out what another setting leaves without a meaning."""
    if settings.get(_DP_SGD + "privacy_unit") != "customer":
        settings.pop(_DP_SGD + "most_rows_per_customer", None)
    if settings.get(_PARTICIPATION + "participation_rate") is None:
        settings.pop(_PARTICIPATION + "participation_rate", None)
    else:  # what it leaves open would be taken for all
        settings.pop(_PARTICIPATION + "cohort_size", None)


def _with_unit(name: str, settings: Mapping[str, Any]) -> str:
    part, _, field = name.rpartition(".")
    if field not in _GUARANTEE:
        return name
    if f"{part}." == _DP_SGD:
        return f"{name}.{settings.get(_DP_SGD + 'privacy_unit', 'record')}"
    branches = settings.get(f"{part}.branches", 0)
    return f"{name}.{'branch' if branches else 'institution'}"


def _flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in settings.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = value
    return flat


def _settings_table(study: Study, words: Words) -> Table:
    settings = flat_settings(study)
    versions = study.summary["versions"]
    return Table(
        name=f"{study.key}settings",
        caption=words.say("Settings and versions"),
        header=[words.say("Setting"), words.say("Value")],
        rows=[
            *[
                [
                    setting_labels.setting(name, words),
                    setting_labels.setting_value(value, words, of=name),
                ]
                for name, value in settings.items()
            ],
            *[[name, version] for name, version in versions.items()],
        ],
        frame=pd.DataFrame(
            [
                {"setting": name, "value": value}
                for name, value in (settings | versions).items()
            ]
        ),
    )


def _undefined_table(
    study: Study, found: Sequence[Mapping[str, Any]], words: Words
) -> Table:
    return Table(
        name=f"{study.key}undefined",
        caption=words.say("Values or intervals that do not exist, and why"),
        header=[
            words.say("Method"),
            words.say("Customers"),
            words.say("Bank"),
            words.say("Metric"),
            words.say("Missing"),
            words.say("Reason"),
        ],
        rows=[
            [
                labels.method(row["method"], words),
                labels.scope(row["rows"], words),
                row["institution"] or words.say("all"),
                labels.metric(row["metric"], words),
                words.say("interval") if row["interval_only"] else words.say("value"),
                labels.remark(row["reason"], words),
            ]
            for row in found
        ],
        frame=pd.DataFrame(found),
    )


def _undefined(study: Study) -> Iterator[dict[str, Any]]:
    for method in study.methods:
        summary = study.summary["methods"][method]
        cells = [("pooled", "", summary["pooled"])]
        for scope in ("own", "others"):
            cells += [(scope, bank, cell) for bank, cell in summary[scope].items()]
        for scope, bank, metrics in cells:
            for metric, value in metrics.items():
                if value["mean"] is None or value.get("ci95") is None:
                    yield {
                        "method": method,
                        "rows": scope,
                        "institution": bank,
                        "metric": metric,
                        "interval_only": value["mean"] is not None,
                        "reason": value["reason"],
                    }
