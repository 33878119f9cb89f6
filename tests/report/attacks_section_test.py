"""Tables, figures and sentences about attacks, from rows made by hand."""

import dataclasses
import re

import pytest

from tests.evaluation.attack_summary_test import row
from tests.report.sample import sample_record, sample_study
from tff_finance.evaluation.summary import build_summary
from tff_finance.report.attacks_section import attacks_section
from tff_finance.report.catalogue import Words
from tff_finance.report.content import Study
from tff_finance.report.findings import findings
from tff_finance.report.page import build_page, render_page, write_page

PROTECTIONS = (("none", None), ("record_dp", 8.0))
BANKS = ("", "bank_a", "bank_b")


def membership(seed):
    values = {"auc": 0.9, "advantage": 0.6}
    for protection, epsilon in PROTECTIONS:
        for bank in BANKS:
            for method in ("loss", "lira"):
                settings = {
                    "method": method,
                    "protection": protection,
                    "epsilon": epsilon,
                    "institution": bank,
                    "target": "overfitted",
                }
                lost = 0.4 if epsilon else 0.0
                for metric, value in values.items():
                    yield row(seed, value - lost, metric=metric, **settings)
                yield row(seed, 0.2, metric="tpr_at_fpr_1", **settings)
                yield row(
                    seed,
                    None,
                    metric="tpr_at_fpr_0_1",
                    low=None,
                    high=None,
                    reason="too few",
                    **settings,
                )


def inversion(seed, control=None):
    """The prepared model and the wider layer get more, the latter unprotected only."""
    for protection, epsilon, method, width in (
        ("none", None, "first_layer", 32),
        ("none", None, "first_layer", 128),
        ("little_noise", 4e12, "first_layer", 32),
        ("record_dp", 8.0, "first_layer", 32),
        ("none", None, "prepared_model", 32),
        ("none", None, "prepared_model", 128),
        ("record_dp", 8.0, "prepared_model", 32),
        ("secure_sum", None, "first_layer", 32),
    ):
        for rows in (1, 32):
            share = 0.9 - rows / 100 - (0.1 if width == 32 else 0.0)
            share += 0.05 if method == "prepared_model" else 0.0
            share = 0.2 if epsilon == 8 else share
            if protection == "little_noise" and control is not None:
                share = control
            shares = {
                "features_recovered": share,
                "records_recovered": 0.0 if epsilon else 0.5,
                "features_without_information": 0.25,
                "features_gained": share - 0.25,
            }
            for metric, value in shares.items():
                yield row(
                    seed,
                    value,
                    attack="inversion",
                    method=method,
                    target="gradient",
                    protection=protection,
                    epsilon=epsilon,
                    institution="",
                    institutions=3 if protection == "secure_sum" else 1,
                    batch_size=rows,
                    hidden_units=width,
                    metric=metric,
                    low=value - 0.02,
                    high=value + 0.02,
                )


def canaries(seed, bound=0.5, broken=4.0):
    for protection, epsilon, batch_size, value in (
        ("record_dp", 8.0, 64, bound),
        ("record_dp", 2.0, 64, bound),
        ("record_dp", 2.0, 8, bound),
        ("missing_noise", 1.0, 64, broken),
        ("missing_sampling", 1.0, 8, broken),
    ):
        refutable = None if epsilon == 8.0 else 0.24
        for metric, number in (
            ("epsilon_bound", value),
            ("largest_bound", 4.2),
            ("sampling_probability", batch_size / 64),
            ("refutable_noise_share", refutable),
        ):
            yield row(
                seed,
                number,
                attack="canary",
                method="gradient",
                protection=protection,
                epsilon=epsilon,
                batch_size=batch_size,
                metric=metric,
                low=None,
                high=None,
                reason="" if number is not None else "so few runs can't refute it",
            )


def study(seeds=(3, 8), *, bound=0.5, broken=4.0, control=None, methods=False):
    record = sample_record()
    config = record.config | {"seeds": list(seeds), "methods": []}
    attacks = tuple(
        one
        for seed in seeds
        for one in (
            *membership(seed),
            *inversion(seed, control),
            *canaries(seed, bound, broken),
        )
    )
    if methods:
        return sample_study(dataclasses.replace(record, attacks=attacks))
    record = dataclasses.replace(
        record, config=config, attacks=attacks, metrics=(), curves=(), runs=()
    )
    return Study(key="", record=record, summary=build_summary(record))


@pytest.fixture(params=["en", "zh"])
def words(request):
    return Words(request.param)


def test_a_run_without_attacks_has_no_section():
    assert attacks_section(sample_study(), Words("en")) is None


def test_tables_say_what_was_measured():
    section = attacks_section(study(), Words("en"))
    tables = {table.name: table for table in section.tables}
    assert list(tables) == [
        "membership",
        "membership_banks",
        "inversion",
        "sums",
        "canaries",
    ]
    first = tables["membership"].rows[0]
    assert first[:3] == ["overfitted training, global", "no protection", "loss"]
    assert first[3] == "0.900 (0.900 to 0.900)".replace("0 to 0", "0\xa0to\xa00")
    assert first[-1] == "n/a"
    assert tables["membership_banks"].header[2:] == ["bank_a", "bank_b"]
    assert [one[1] for one in tables["sums"].rows] == ["3", "3"]
    assert [[one[1], *one[-2:]] for one in tables["canaries"].rows] == [
        ["100.0\xa0%", "n/a", "so few runs can't refute it"],
        ["100.0\xa0%", "24.0\xa0%", "not refuted"],
        ["12.5\xa0%", "24.0\xa0%", "not refuted"],
        ["100.0\xa0%", "24.0\xa0%", "exceeds the claim"],
        ["12.5\xa0%", "24.0\xa0%", "exceeds the claim"],
    ]
    assert len(tables["inversion"].frame) == 56
    assert [one[-2] for one in tables["inversion"].rows][:2] == [
        "+54.0 (+54.0\xa0to\xa0+54.0)",
        "+23.0 (+23.0\xa0to\xa0+23.0)",
    ]


def test_an_epsilon_is_never_without_what_makes_it_one():
    section = attacks_section(study(), Words("en"))
    notes = " ".join(section.notes)
    assert "Epsilon is for one row of a bank: whether it is there" in notes
    assert notes.count("delta 1e-5; accountant: Rényi.") == 1
    frames = {table.name: table.frame for table in section.tables}
    private = frames["inversion"].query("epsilon == 8")
    assert set(private["delta"]) == {1e-5}
    assert set(private["accountant"]) == {"rdp"}


def test_one_seed_shows_intervals_within_it():
    section = attacks_section(study(seeds=(3,)), Words("en"))
    assert re.search(r"\(0\.400\sto\s0\.800\)", section.tables[0].rows[0][3])


def test_sentences_are_of_the_numbers():
    text = " ".join(findings(study(), Words("en"))).replace("\xa0", " ")
    assert "record-level privacy, epsilon 8: 20.0 %" in text
    assert "no protection: 0.900 (0.900 to 0.900); record-level" in text
    assert "privacy, epsilon 8: 0.500 (0.500 to 0.500)" in text
    assert "No canary refutes a claimed epsilon of 2, as runs could have." in text
    assert "So few runs can't refute a claimed epsilon of 8." in text
    assert "wasn't found out" not in text


def test_servers_are_compared_with_themselves():
    found = findings(study(seeds=(3,)), Words("en"))
    sentences = [sentence.replace("\xa0", " ") for sentence in found]
    honest = [s for s in sentences if s.startswith("An honest but curious server")]
    active = [s for s in sentences if s.startswith("A server that sends a manipulated")]
    assert (len(honest), len(active)) == (2, 2)
    # Not the 89 % of 128 neurons: those were never attacked with privacy.
    assert "gets back 79.0 % of the features" in honest[0]
    assert "neurons of the first layer 32, by closed form, first layer" in honest[0]
    assert "+54.0 (+52.0 to +56.0) percentage points more" in honest[0]
    assert "gets back 84.0 % of the features" in active[0]
    assert "rows behind it 32" in active[1]
    assert not any("Hardly any noise" in sentence for sentence in sentences)
    protected = "epsilon 8: 20.0 %, -5.0 (-7.0 to -3.0) points more."
    for sentence in (*honest, *active):
        assert sentence.replace("\N{MINUS SIGN}", "-").endswith(protected)


def test_an_attack_that_hardly_any_noise_stops_is_said_to_show_nothing():
    of_honest = [
        sentence
        for sentence in findings(study(control=0.2), Words("en"))
        if sentence.startswith("An honest but curious server")
    ]
    assert all("shows nothing of privacy" in sentence for sentence in of_honest)


def test_a_broken_claim_is_said():
    text = " ".join(findings(study(bound=9.0), Words("en")))
    assert "Canaries refute a claimed epsilon" in text


def test_an_audit_that_finds_no_defect_is_said_to_show_nothing():
    text = " ".join(findings(study(broken=0.5), Words("en")))
    assert "wasn't found out either" in text


def test_a_page_of_attacks_alone(words, tmp_path):
    page = build_page([study()], words)
    assert [section.anchor for section in page.sections] == ["attacks", "settings"]
    assert page.heading != build_page([sample_study()], words).heading
    write_page(page, words, tmp_path / "report.html")
    assert (tmp_path / "report_files" / "membership.csv").exists()
    assert (tmp_path / "report_files" / "inversion_first_layer.png").exists()


def test_attacks_stand_beside_other_results(words):
    page = build_page([study(seeds=(3, 8, 9), methods=True)], words)
    anchors = [section.anchor for section in page.sections]
    assert {"attacks", "traffic"} <= set(anchors)
    assert "<table" in render_page(page, words, folder="f")
