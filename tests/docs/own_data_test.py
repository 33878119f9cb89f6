"""docs/own_data.md, followed to the letter."""

import re
import shlex

from tests.experiments.quick_call import ROOT, full_call

BLOCKS = re.findall(
    r"^```(\w+)\n(.*?)^```$",
    (ROOT / "docs" / "own_data.md").read_text(),
    flags=re.MULTILINE | re.DOTALL,
)
# So that the test takes seconds; everything else is as the page has it.
SMALL = (
    "--seeds=2",
    "--methods=local,fed_avg,centralized",
    "--rounds=3",
    "--max_epochs=2",
    "--resamples=100",
)


def call(command, folder, *more):
    python, option, module, *arguments = shlex.split(command)
    assert (python, option) == (".venv/bin/python", "-m")
    done = full_call(module, *arguments, *more, directory=folder)
    return done.returncode, done.stdout + done.stderr


def test_the_page_works_from_its_first_line_to_its_last(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make, contract, run, faults, mend, report = (text for kind, text in BLOCKS)
    assert [kind for kind, _ in BLOCKS] == [
        "python",
        "toml",
        "sh",
        "text",
        "python",
        "sh",
    ]
    exec(make, {})
    (tmp_path / "own" / "contract.toml").write_text(contract)

    code, output = call(run, tmp_path, *SMALL)
    assert code == 1
    assert faults in output
    assert "Traceback" not in output

    exec(mend, {})
    code, output = call(run, tmp_path, *SMALL)
    assert code == 0, output
    assert "bank_a: left out, since the contract forbids them: customer." in output
    assert "Protected attributes are among the features: age." in output
    assert "test rows" in output

    code, output = call(report, tmp_path)
    assert code == 0, output
    page = (tmp_path / "results" / "own" / "report.html").read_text()
    assert "synthetic" not in page
    assert "own tables under contract" in page
