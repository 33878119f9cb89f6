"""Scores a raw table with a trained model, with reason codes for credit risk.

--model is a folder that `experiments.train` wrote. Every row is checked against the
model's contract, in the institution's own format; a label is not needed. Writes
--output and, beside it, a summary with checksums. Scores are probabilities of label 1
and their logits.

A reason is a column that raises the logit above that of an average customer, by
integrated gradients; all columns' contributions add up to the difference.
"""

import pathlib
from typing import TYPE_CHECKING, Any

from absl import flags

from experiments import command_line
from tff_finance.records import files, model_folder
from tff_finance.records.growing_table import ENDINGS

if TYPE_CHECKING:
    from tff_finance.datasets.raw_table import RawTable
    from tff_finance.evaluation.reason_codes import ReasonCodes
    from tff_finance.evaluation.saved_model import SavedModel
    from tff_finance.evaluation.scoring import Outcome

_DEFAULT_REASONS = 3

_MODEL = flags.DEFINE_string("model", None, "Folder of the model.")
_TABLE = flags.DEFINE_string(
    "table", None, "Rows to score: .csv, .tsv (either with .gz) or .parquet."
)
_OUTPUT = flags.DEFINE_string(
    "output", None, f"File for the scores: {' or '.join(ENDINGS)}."
)
_INSTITUTION = flags.DEFINE_string(
    "institution",
    "",
    "Whose table it is: names its format in the contract. Default: the contract's own.",
)
_ID_COLUMN = flags.DEFINE_string(
    "id_column", "", "Column of the table that identifies rows; kept in the output."
)
_REASONS = flags.DEFINE_integer(
    "reasons",
    None,
    "Most reasons of a row; only for models of risk. Default: "
    f"{_DEFAULT_REASONS} for these, 0 for others.",
    lower_bound=0,
)
_CONTRIBUTIONS = flags.DEFINE_bool(
    "contributions", False, "Whether every column's contribution is written too."
)
_FAULTY_ROWS = flags.DEFINE_enum(
    "faulty_rows",
    "fail",
    ["fail", "leave_out"],
    "Rows that break the contract. fail: no row is scored, and all faults are "
    "listed. leave_out: they go to a file beside the output, with what is wrong.",
)


def main() -> None:
    """Scores the table."""
    output = _output()
    directory = pathlib.Path(_MODEL.value)
    # TensorFlow takes seconds to import; whatever can fail before, does.
    header = model_folder.read_header(directory)
    reasons = _reasons(str(header["task"]))
    _check_table(directory, header)
    command_line.output_directory(str(output.parent), flag="output")

    from tff_finance.datasets.contract import ContractError
    from tff_finance.datasets.csv_files import TableFileError
    from tff_finance.datasets.raw_table import RawTable
    from tff_finance.evaluation.reason_codes import ReasonCodes
    from tff_finance.evaluation.saved_model import load_model
    from tff_finance.evaluation.scoring import score_table

    model = load_model(directory)
    table = RawTable(
        path=pathlib.Path(_TABLE.value),
        institution=_INSTITUTION.value,
        id_column=_ID_COLUMN.value,
    )
    codes = None
    if reasons:
        codes = ReasonCodes(
            model, count=reasons, all_contributions=_CONTRIBUTIONS.value
        )
    left_out = None
    if _FAULTY_ROWS.value == "leave_out":
        left_out = output.with_name(f"{output.stem}.left_out{output.suffix}")
    try:
        outcome = score_table(
            model, table, output, reason_codes=codes, left_out=left_out
        )
    except (ContractError, TableFileError) as error:
        command_line.failure(error)
    summary = output.with_name(f"{output.stem}.summary.json")
    files.write_json(summary, _summary(model, table, codes, outcome, output))
    command_line.report_progress(
        f"Wrote {output}: {outcome.scored:,} rows scored, {outcome.left_out:,} left "
        "out."
    )
    if outcome.incomplete:
        command_line.report_progress(
            f"warning: contributions of {outcome.incomplete:,} rows don't add up; see "
            "the column contribution_residual."
        )


def _output() -> pathlib.Path:
    output = pathlib.Path(_OUTPUT.value)
    if output.suffix not in ENDINGS:
        command_line.usage_error(
            f"--output: must end in {' or '.join(ENDINGS)}, got {_OUTPUT.value!r}"
        )
    if output.resolve() == pathlib.Path(_TABLE.value).resolve():
        command_line.usage_error("--output: must not be the table itself")
    return output


def _reasons(task: str) -> int:
    """How many reasons to give, which a model of risk alone has."""
    given = _REASONS.value
    if task != "risk" and (given or _CONTRIBUTIONS.value):
        command_line.usage_error(
            "--reasons and --contributions explain what speaks against a customer, for "
            f"models of risk; this one is of {task}"
        )
    if task == "risk" and given is None:
        return _DEFAULT_REASONS
    if _CONTRIBUTIONS.value and not given:
        command_line.usage_error("--contributions: needs --reasons of 1 or more")
    return given or 0


def _check_table(directory: pathlib.Path, header: dict[str, Any]) -> None:
    """Refuses an unknown institution and a table that isn't there."""
    from tff_finance.datasets.contract_file import read_json_contract
    from tff_finance.datasets.csv_files import TableFileError
    from tff_finance.datasets.near_misses import did_you_mean
    from tff_finance.datasets.raw_table import RawTable

    contract = read_json_contract(directory / model_folder.CONTRACT)
    known = {*contract.formats, *header["institutions"]}
    name = _INSTITUTION.value
    if name and name not in known:
        command_line.usage_error(
            f"--institution: the model knows no {name!r}"
            + (did_you_mean(name, known) or f", only {', '.join(sorted(known))}")
            + "; leave it out if the table has the contract's own format"
        )
    try:
        RawTable(
            path=pathlib.Path(_TABLE.value),
            institution=name,
            id_column=_ID_COLUMN.value,
        ).check_id_column(contract)
    except TableFileError as error:
        command_line.failure(error)
    except ValueError as error:
        command_line.usage_error(error)


def _summary(
    model: "SavedModel",
    table: "RawTable",
    codes: "ReasonCodes | None",
    outcome: "Outcome",
    output: pathlib.Path,
) -> dict[str, Any]:
    """What was scored, with what, and how it went."""
    from tff_finance.evaluation.attributions import (
        RELATIVE_TOLERANCE,
        SMALL_DIFFERENCE,
    )
    from tff_finance.evaluation.reason_codes import REFERENCE
    from tff_finance.records.versions import result_versions

    explanation = None
    if codes:
        explanation = {
            "method": "integrated gradients of the logit",
            "reference": REFERENCE,
            "reference_logit": codes.reference_logit,
            "largest_residual": outcome.largest_residual,
            "tolerance": {
                "relative": RELATIVE_TOLERANCE,
                "of_differences_from": SMALL_DIFFERENCE,
            },
            "rows_beyond_tolerance": outcome.incomplete,
        }
    return {
        "schema": 1,
        "model": {
            "sha256": files.sha256(pathlib.Path(_MODEL.value) / model_folder.HEADER),
            "task": model.header["task"],
            "label_meaning": model.encoder.contract.label_meaning,
        },
        "table": {
            "name": table.path.name,
            "sha256": files.sha256(table.path),
            "institution": table.institution,
        },
        "output": {"name": output.name, "sha256": files.sha256(output)},
        "rows": {"scored": outcome.scored, "left_out": outcome.left_out},
        "faults": list(outcome.faults),
        "explanation": explanation,
        "versions": result_versions(),
    }


if __name__ == "__main__":
    for name in ("model", "table", "output"):
        flags.mark_flag_as_required(name)
    command_line.run(main)
