"""What the page says of privacy: of every method, and of nothing more than it has."""

import dataclasses

import pytest

from tests.evaluation.hand_made import BANKS, SEEDS
from tests.evaluation.privacy_summary_test import across, row
from tests.report.page_test import rendered
from tests.report.sample import by_other_method, sample_record, sample_study
from tff_finance.evaluation import promises
from tff_finance.privacy.guarantee import UNITS
from tff_finance.records.privacy_row import PER_ROW_NOT_CUSTOMER
from tff_finance.report import labels
from tff_finance.report.catalogue import LANGUAGES, Words
from tff_finance.report.findings import findings
from tff_finance.report.privacy_section import privacy_section

WORDS = Words("en")


def private_record(**options):
    rows = tuple(
        row(bank, seed, **{"method": "fed_avg", "not_covered": "tuning: it"} | options)
        for seed in SEEDS
        for bank in BANKS
    )
    return dataclasses.replace(sample_record(), privacy=rows)


def with_secure_sums(record):
    """The same record as if FedAvg had been by secure sums."""
    return by_other_method(record, "fed_avg_secure")


def section(record):
    return privacy_section(sample_study(record), WORDS)


def test_a_method_without_protection_says_so():
    (table,) = section(sample_record()).tables
    assert [cells[0] for cells in table.rows] == [
        "Each bank alone",
        "Together: FedAvg",
        "Rows pooled",
    ]
    for cells in table.rows:
        assert cells[1:4] == ["nothing is promised", "nobody", "no bound"]
    assert "server" in table.rows[1][-1]
    assert "all rows" in table.rows[2][-1]
    assert section(sample_record()).notes == []


def test_a_promise_has_all_that_makes_it_one():
    found = section(private_record(epsilon=2.0, delta=2.5e-6))
    by_method, by_bank, not_covered = found.tables
    assert by_method.rows[1] == [
        "Together: FedAvg",
        "one row of a bank",
        "the server; the other banks; whoever gets the model",
        "2.00",
        "2.5e-6",
        "whether it is there (add or remove one)",
        "privacy loss distributions",
        "the bank itself",
    ]
    assert by_method.rows[0][1] == "nothing is promised"
    assert [cells[1] for cells in by_bank.rows] == list(BANKS)
    assert by_bank.rows[0][2:] == [
        "100",
        "2.00",
        "2.5e-6",
        "1.50",
        "1.00",
        "0.250",
        "40",
    ]
    assert not_covered.rows == [["Together: FedAvg", "choice of settings", "it"]]
    # e to the 2
    assert "more than 7.4 times" in found.paragraphs[1]
    assert found.notes[0].startswith("Assumed:")


def test_a_promise_to_banks_does_not_hide_them_from_the_server():
    found = section(
        private_record(
            unit="institution",
            neighbouring="replace_one",
            accountant="rdp",
            against="institutions,outsiders",
            l2_clip_norm=None,
        )
    )
    assert found.tables[0].rows[1][1:3] == [
        "one bank, with all rows",
        "the other banks; whoever gets the model",
    ]
    assert found.tables[0].rows[1][-1] == "the server"
    assert found.tables[1].rows[0][6] == "adapts"
    assert "says nothing to a customer" in found.notes[-1]


@pytest.mark.parametrize("unit", UNITS)
def test_every_unit_has_its_words(unit):
    record = private_record(unit=unit)
    text = findings(sample_study(record), WORDS)[-1]
    assert f"({unit} level, delta" in text
    [_, promised, _] = section(record).tables[0].rows
    assert promised[1] != unit


def test_branches_are_not_said_to_hide_a_bank():
    notes = " ".join(section(private_record(unit="branch")).notes)
    assert "whole branch, and nothing of a bank" in notes
    assert "whole bank" not in notes


def test_secure_sums_protect_an_update_and_promise_no_bound():
    record = with_secure_sums(sample_record())
    found = section(record)
    row_of_method = found.tables[0].rows[1]
    assert row_of_method[1:4] == [
        "one bank's update, as far as a sum hides it",
        "the server",
        "no bound",
    ]
    assert "simulated in the clear" in found.notes[-1]
    assert "sums of updates" in findings(sample_study(record), WORDS)[-1]


def test_rows_that_several_are_of_one_customer_are_said_to_be_rows():
    record = private_record(unit_in_words=PER_ROW_NOT_CUSTOMER)
    found = section(record)
    protected = "one row (transaction) of a bank, not one customer"
    assert found.tables[0].rows[1][1] == protected
    assert protected in found.paragraphs[1]
    assert any("per row (transaction), not per customer" in n for n in found.notes)
    told = findings(sample_study(record), WORDS)[-1]
    assert "That is per row (transaction), not per customer." in told
    assert not any("not per customer" in n for n in section(private_record()).notes)


def test_customers_are_told_how_many_of_their_rows_count():
    record = private_record(unit="customer", most_rows=16)
    found = section(record)
    assert found.tables[0].rows[1][1] == "one customer of a bank, with all rows"
    (note,) = [n for n in found.notes if "clipped as one sum" in n]
    assert "at most 16 rows" in note
    assert "(customer level," in findings(sample_study(record), WORDS)[-1]


@pytest.mark.parametrize(
    ("unit", "whom"),
    [
        ("record", "For somebody with one row at each of the 2 banks"),
        ("customer", "For a customer of all 2 banks"),
    ],
)
def test_whoever_is_at_all_banks_has_a_number_too(unit, whom):
    record = private_record(unit=unit, **across(6.789, 2e-6, "rdp"))
    found = section(record)
    assert found.paragraphs[1].endswith(
        f"{whom} epsilon is at most 6.79, with delta 2e-6 (accountant: Rényi): what "
        "the banks release adds up."
    )
    row_of_method = found.tables[0].frame.iloc[1]
    assert row_of_method["across_epsilon"] == 6.789
    assert "across_institutions" not in found.tables[0].frame
    chinese = privacy_section(sample_study(record), Words("zh")).paragraphs[1]
    assert "6.79" in chinese
    assert "banks" not in chinese


def test_nothing_is_said_of_all_banks_where_nothing_is_known():
    for record in (private_record(), private_record(unit="branch")):
        found = section(record)
        assert "at each of" not in found.paragraphs[1]
        assert "across_epsilon" not in found.tables[0].frame


def test_a_large_epsilon_is_not_praised():
    found = section(private_record(epsilon=40.0))
    assert found.paragraphs[1].endswith("So large an epsilon is hardly a bound.")


def test_the_summary_in_plain_language_has_it():
    text = findings(sample_study(private_record()), WORDS)[-1]
    assert text == (
        "Together: FedAvg keeps epsilon at 4.00 at most (record level, delta 1e-5). "
        "Methods not named here promise no privacy."
    )
    plain = findings(sample_study(sample_record()), WORDS)[-1]
    assert plain.startswith("No privacy mechanism was at work")


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_page_has_it(language):
    text = rendered(private_record(), language=language, figures=False)
    assert 'id="privacy"' in text
    assert "report_files/privacy_by_bank.csv" in text


def test_what_studies_enter_is_translated():
    """Whatever stands in a ledger can be read in every language."""
    entries = [
        *promises.released_besides(
            label_counts=True,
            feature_counts=True,
            features_of_other_rows=True,
            table_checksums=True,
            model_kept=True,
            training_rows_attacked=True,
        ),
        promises.VALIDATION_SHOWN,
    ]
    lines = [f"{e.what} ({e.reason})" for e in entries]
    lines.append(promises.SEVERAL_ROWS.partition(": ")[2])
    words = Words("zh")
    for line in lines:
        assert labels.remark(line, words) != line
    for entry in entries:
        assert labels.stage(entry.stage, words) != entry.stage
