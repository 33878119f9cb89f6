"""Set-up: what it refuses, when it is complete, and what the lock promises."""

import ast
import importlib.util
import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent
SCRIPT = ROOT / "scripts" / "set_up.py"


@pytest.fixture
def set_up(tmp_path, monkeypatch):
    """The script as a module that works in a folder of its own."""
    spec = importlib.util.spec_from_file_location("set_up", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    venv = tmp_path / ".venv"
    lock = tmp_path / "requirements.lock"
    lock.write_text("numpy==1.26.4\n")
    monkeypatch.setattr(module, "ROOT", tmp_path)
    monkeypatch.setattr(module, "TOOLS", tmp_path / ".tools")
    monkeypatch.setattr(module, "VENV", venv)
    monkeypatch.setattr(module, "VENV_PYTHON", venv / "bin" / "python")
    monkeypatch.setattr(module, "STAMP", venv / "set_up.json")
    monkeypatch.setattr(module, "LOCK", lock)
    monkeypatch.setattr(module, "INPUTS", (lock,))
    monkeypatch.setattr(module.platform, "system", lambda: "Linux")
    monkeypatch.setattr(module.platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(module, "glibc_version", lambda: "2.36")
    return module


@pytest.fixture
def fake_environment(set_up, monkeypatch):
    """Replaces uv: commands are noted, and `uv venv` makes a python file."""
    commands = []

    def run(command, problem):
        del problem
        commands.append(command)
        if command[1] == "venv":
            set_up.VENV_PYTHON.parent.mkdir(parents=True)
            set_up.VENV_PYTHON.touch(mode=0o755)

    python = set_up.Interpreter("/opt/python3.11", (3, 11), usable=True)
    monkeypatch.setattr(set_up, "run", run)
    monkeypatch.setattr(set_up, "find_uv", lambda: "uv")
    monkeypatch.setattr(set_up, "find_python", lambda: python)
    monkeypatch.setattr(set_up, "ask_python", lambda name: python)
    return commands


@pytest.mark.parametrize(
    ("system", "machine", "glibc", "reason"),
    [
        ("Windows", "AMD64", "", "Windows on AMD64"),
        ("Darwin", "arm64", "", "Darwin on arm64"),
        ("Darwin", "x86_64", "", "Darwin on x86_64"),
        ("Linux", "aarch64", "2.36", "Linux on aarch64"),
        ("Linux", "x86_64", "", "GNU C library"),
        ("Linux", "x86_64", "2.28", "this Linux has 2.28"),
    ],
)
def test_platform_without_tff_wheel_gets_one_line(
    set_up, monkeypatch, capsys, system, machine, glibc, reason
):
    monkeypatch.setattr(set_up.platform, "system", lambda: system)
    monkeypatch.setattr(set_up.platform, "machine", lambda: machine)
    monkeypatch.setattr(set_up, "glibc_version", lambda: glibc)
    assert set_up.main([]) == 1
    output = capsys.readouterr()
    assert not output.out
    assert reason in output.err
    assert output.err.count("\n") == 1
    assert not set_up.VENV.exists()
    assert not set_up.TOOLS.exists()


@pytest.mark.parametrize("glibc", ["2.31", "2.36", "3.0", "2.40.9000"])
def test_recent_glibc_is_accepted(set_up, glibc):
    set_up.refuse_platform("Linux", "x86_64", glibc)


@pytest.mark.parametrize(
    ("version", "usable", "reason"),
    [
        ((3, 9), True, "is Python 3.9"),
        ((3, 12), True, "is Python 3.12"),
        ((3, 11), False, "64-bit CPython"),
        (None, False, "no Python answers"),
    ],
)
def test_forced_python_that_tff_cannot_use_gets_one_line(
    set_up, monkeypatch, capsys, version, usable, reason
):
    answer = version and set_up.Interpreter("/opt/python", version, usable)
    monkeypatch.setattr(set_up, "ask_python", lambda name: answer)
    assert set_up.main(["--python=some_python"]) == 1
    error = capsys.readouterr().err
    assert "PYTHON=some_python" in error
    assert reason in error
    assert error.count("\n") == 1
    assert not set_up.VENV.exists()


def test_missing_interpreter_does_not_answer(set_up, tmp_path):
    assert set_up.ask_python(str(tmp_path / "python3.11")) is None


def test_second_set_up_runs_nothing(set_up, fake_environment):
    assert set_up.main([]) == 0
    assert [command[1] for command in fake_environment] == ["venv", "pip", "pip"]
    fake_environment.clear()
    assert set_up.main([]) == 0
    assert not fake_environment


def test_new_lock_is_installed_in_place(set_up, fake_environment):
    set_up.main([])
    fake_environment.clear()
    set_up.LOCK.write_text("numpy==1.26.3\n")
    assert set_up.main([]) == 0
    assert [command[1] for command in fake_environment] == ["pip", "pip"]


def test_interrupted_set_up_is_done_anew(set_up, fake_environment, monkeypatch):
    set_up.main([])
    working_run = set_up.run

    def interrupted(command, problem):
        raise KeyboardInterrupt

    set_up.LOCK.write_text("numpy==1.26.3\n")
    monkeypatch.setattr(set_up, "run", interrupted)
    assert set_up.main([]) == 130
    monkeypatch.setattr(set_up, "run", working_run)
    fake_environment.clear()
    set_up.main([])
    assert [command[1] for command in fake_environment] == ["venv", "pip", "pip"]


def test_other_forced_python_makes_the_environment_anew(
    set_up, fake_environment, monkeypatch
):
    set_up.main([])
    fake_environment.clear()
    other = set_up.Interpreter("/opt/python3.10", (3, 10), usable=True)
    monkeypatch.setattr(set_up, "ask_python", lambda name: other)
    set_up.main(["--python=python3.10"])
    assert fake_environment[0][-2:] == ["/opt/python3.10", str(set_up.VENV)]
    fake_environment.clear()
    set_up.main(["--python=python3.10"])
    set_up.main([])
    assert not fake_environment


def test_environment_whose_python_is_gone_is_made_anew(set_up, fake_environment):
    set_up.main([])
    fake_environment.clear()
    set_up.VENV_PYTHON.unlink()
    set_up.main([])
    assert fake_environment[0][1] == "venv"


def test_settings_of_other_environments_are_left_out(set_up, monkeypatch):
    monkeypatch.setenv("UV_SYSTEM_PYTHON", "1")
    monkeypatch.setenv("PYTHONPATH", "elsewhere")
    monkeypatch.setenv("UV_INDEX_URL", "kept")
    environ = set_up.clean_environ()
    assert "UV_SYSTEM_PYTHON" not in environ
    assert "PYTHONPATH" not in environ
    assert environ["UV_INDEX_URL"] == "kept"


def test_script_has_no_syntax_later_than_python_3_6():
    ast.parse(SCRIPT.read_text(), feature_version=(3, 6))


def test_every_locked_package_has_hashes_and_no_address():
    text = (ROOT / "requirements.lock").read_text()
    assert "://" not in text
    packages = re.split(r"^(?=\w)", text, flags=re.MULTILINE)[1:]
    assert len(packages) > 50
    for package in packages:
        assert re.match(r"[\w.-]+==[\w.]+ .*\\\n +--hash=sha256:[0-9a-f]{64}", package)


def test_lock_holds_what_the_project_asks_for():
    lock = (ROOT / "requirements.lock").read_text()
    project = (ROOT / "pyproject.toml").read_text()
    asked = re.findall(r'^  "([a-z][\w-]*)(?:==|>=)', project, re.MULTILINE)
    assert "tensorflow-federated" in asked
    assert "pytest" in asked
    for name in asked:
        assert re.search(rf"^{name.replace('_', '[-_]')}==", lock, re.MULTILINE), name
