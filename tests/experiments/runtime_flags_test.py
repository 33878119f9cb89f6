"""Flags of the runtime make sense together, or are refused in one line."""

import re

import pytest

from tests.experiments.quick_call import quick_call

SWEEP = "experiments.sweep_heterogeneity"
CASE_STUDY = "experiments.bank_case_study"
TWO = "--workers=localhost:8001,localhost:8002"


def call(module, *arguments):
    done = quick_call(module, *arguments)
    return done.returncode, done.stderr


@pytest.mark.parametrize(
    ("arguments", "culprit"),
    [
        (["--runtime=workers"], "--runtime=workers needs --workers"),
        (["--runtime=tff", TWO], "--workers goes with --runtime=workers, got tff"),
        (["--runtime=in_process", TWO], "got in_process"),
        (["--on_worker_failure=skip"], "--on_worker_failure needs --workers"),
        (["--shared_storage"], "--shared_storage needs --workers"),
        (["--insecure_network"], "--insecure_network needs --workers"),
        ([TWO, "--shared_storage"], "`shared_storage` only tells where to retry"),
        ([TWO, "--on_worker_failure=panic"], "--on_worker_failure=panic"),
        (["--workers="], "`workers`"),
        (["--workers=localhost"], "'localhost'"),
        (["--workers=localhost:8001=bank_a+bank_b"], "bank_c"),
        (["--workers=localhost:8001=bank_a+bank_b+bank_c+bank_z"], "bank_z"),
        (["--workers=10.1.2.3:8001,localhost:8002"], "10.1.2.3:8001"),
        (["--workers=node.bank.example:8001"], "neither encryption nor credentials"),
    ],
)
def test_contradictions_get_one_line_and_exit_code_2(tmp_path, arguments, culprit):
    code, errors = call(CASE_STUDY, f"--output_dir={tmp_path / 'out'}", *arguments)
    assert code == 2
    assert errors.startswith("bank_case_study: error: ")
    assert errors.count("\n") == 1
    assert culprit in errors
    assert not (tmp_path / "out").exists()


def test_the_sweep_has_the_same_flags(tmp_path):
    code, errors = call(SWEEP, f"--output_dir={tmp_path / 'out'}", "--runtime=workers")
    assert code == 2
    assert "--runtime=workers needs --workers" in errors


@pytest.mark.parametrize(
    "arguments",
    [
        [TWO],
        [TWO, "--runtime=workers", "--on_worker_failure=retry", "--shared_storage"],
        ["--workers=10.1.2.3:8001,node:8002", "--insecure_network"],
        ["--workers=localhost:1=bank_c,localhost:2=bank_b+bank_a"],
        ["--runtime=tff"],
    ],
)
def test_others_are_understood(tmp_path, arguments):
    """Up to the output folder, which can't be made."""
    (tmp_path / "file").touch()
    code, errors = call(CASE_STUDY, f"--output_dir={tmp_path / 'file'}", *arguments)
    assert code == 1
    assert re.search("can't write to", errors)
