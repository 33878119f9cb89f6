"""The binaries of the report: quick, without TensorFlow, clear when refused."""

import pathlib

import pandas as pd
import pytest

from experiments import study_files
from tests.evaluation.hand_made import SEEDS
from tests.experiments.quick_call import quick_call
from tests.report.sample import sample_record, sweep_lines
from tff_finance.records import files
from tff_finance.report import styles
from tff_finance.report.catalogue import Words

ROOT = pathlib.Path(__file__).resolve().parents[2]


def call(*arguments, module="experiments.write_report"):
    done = quick_call(module, *arguments)
    return done.returncode, done.stderr


@pytest.fixture(scope="module")
def record(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run") / "record"
    sample_record().write(folder)
    return folder


def test_writes_a_page(record, tmp_path):
    sweep = tmp_path / "sweep.csv"
    sweep.write_text(sweep_lines(), encoding="utf-8")
    output = tmp_path / "new" / "report.html"
    code, errors = call(
        f"--record={record}", f"--sweep={sweep}", f"--output={output}", "--language=zh"
    )
    assert code == 0, errors
    assert str(output) in errors
    text = output.read_text(encoding="utf-8")
    assert 'id="sweep"' in text
    assert "联邦学习" in text
    assert (output.parent / "report_files" / "sweep.png").exists()


def test_several_records_become_one_page(record, tmp_path):
    """Also where one has one seed and other methods, from a folder of that name."""
    other = tmp_path / "record"
    sample_record(seeds=(3,), methods=("local", "fed_avg")).write(other)
    output = tmp_path / "report.html"
    code, errors = call(f"--record={record},{other}", f"--output={output}")
    assert code == 0, errors
    text = output.read_text(encoding="utf-8")
    assert 'id="comparison"' in text
    assert 'id="run2_headline"' in text
    names = {path.name for path in (tmp_path / "report_files").iterdir()}
    assert {"comparison.png", "run1_headline.csv", "run2_headline.csv"} <= names


def test_says_which_font_is_missing(monkeypatch, capsys):
    study_files.warn_of_missing_font(Words("en"))
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(styles, "chinese_font", lambda: None)
    study_files.warn_of_missing_font(Words("zh"))
    errors = capsys.readouterr().err
    assert errors.count("\n") == 1
    assert styles.FONT_PACKAGE in errors


def test_draws_the_headline(record, tmp_path):
    output = tmp_path / "headline.png"
    module = "experiments.draw_headline"
    code, errors = call(f"--record={record}", f"--output={output}", module=module)
    assert (code, errors) == (0, "")
    assert output.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ([], "record"),
        (["--record={record}", "--record={record}"], "twice"),
        (["--record={record},"], "empty"),
        (["--record={record}", "--output={tmp}/report.pdf"], "html"),
        (["--record={record}", "--language=fr"], "language"),
        (["--record={record}", "extra"], "unexpected"),
    ],
)
def test_usage_errors(arguments, named, record, tmp_path):
    code, errors = call(*[a.format(record=record, tmp=tmp_path) for a in arguments])
    assert code == 2
    assert errors.count("\n") == 1
    assert named in errors


def drop_checksums(folder):
    """As records of an earlier version are."""
    header = files.read_json(folder / "run.json")
    del header["sha256"]
    files.write_json(folder / "run.json", header)


def broken(tmp_path, kind):
    folder = tmp_path / kind
    if kind == "missing":
        return folder
    sample_record().write(folder)
    if kind == "above":
        sample_record().write(folder / "record")
        (folder / "run.json").unlink()
    elif kind == "no_json":
        (folder / "run.json").write_text("{", encoding="utf-8")
    elif kind == "foreign":
        (folder / "run.json").write_text('{"schema": 1}', encoding="utf-8")
    elif kind == "newer":
        text = (folder / "run.json").read_text(encoding="utf-8")
        text = text.replace('"schema": 1', '"schema": 99')
        (folder / "run.json").write_text(text, encoding="utf-8")
    elif kind == "no_metrics":
        (folder / "metrics.csv").unlink()
    elif kind == "torn":
        path = folder / "score_histograms.csv.gz"
        path.write_bytes(path.read_bytes()[:100])
    elif kind == "older":
        drop_checksums(folder)
        runs = pd.read_csv(folder / "runs.csv")
        runs.drop(columns="stopped_by").to_csv(folder / "runs.csv", index=False)
    elif kind == "fewer_seeds":
        drop_checksums(folder)
        runs = pd.read_csv(folder / "runs.csv")
        runs[runs["seed"] == SEEDS[0]].to_csv(folder / "runs.csv", index=False)
    return folder


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("missing", "has no run.json"),
        ("above", "did you mean"),
        ("no_json", "no record that can be read"),
        ("foreign", "it lacks"),
        ("newer", "schema 99"),
        ("no_metrics", "metrics.csv: No such file"),
        ("torn", "score_histograms.csv.gz has changed since it was written"),
        ("older", "another version of tff_finance wrote it"),
        ("fewer_seeds", "lacks rows that its settings promise"),
    ],
)
def test_unreadable_records_are_refused_in_one_line(tmp_path, kind, said):
    folder = broken(tmp_path, kind)
    code, errors = call(f"--record={folder}", f"--output={tmp_path / 'report.html'}")
    assert code == 1
    assert errors.count("\n") == 1, errors
    assert str(folder) in errors
    assert said in errors
    assert not (tmp_path / "report.html").exists()


def test_a_table_that_is_no_sweep_is_refused(record, tmp_path):
    sweep = tmp_path / "sweep.csv"
    sweep.write_text("a,b\n1,2\n", encoding="utf-8")
    output = tmp_path / "report.html"
    code, errors = call(f"--record={record}", f"--sweep={sweep}", f"--output={output}")
    assert code == 1
    assert errors.count("\n") == 1
    assert "sweep" in errors
