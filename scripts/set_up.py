"""Makes `.venv`, the project's environment, from `requirements.lock`.

`make` runs this before every job. A complete environment is recognised by its
stamp and left alone; anything else is brought up to date or built anew. BUILD.md
tells why the project brings its own set-up.

It runs under whatever Python 3 a machine has, so it uses the standard library
only, and no syntax later than Python 3.6.
"""

import argparse
import contextlib
import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Dict, Iterator, List, NamedTuple, Optional, Tuple

ROOT = Path(__file__).resolve().parent.parent
TOOLS = ROOT / ".tools"
VENV = ROOT / ".venv"
VENV_PYTHON = VENV / "bin" / "python"
STAMP = VENV / "set_up.json"  # written last: an interrupted set-up has none
LOCK = ROOT / "requirements.lock"
UV_REQUIREMENT = ROOT / "scripts" / "uv.txt"
INPUTS = (LOCK, ROOT / "pyproject.toml", Path(__file__).resolve())

PYTHONS = ((3, 11), (3, 10))  # the one to prefer first
OLDEST_GLIBC = (2, 31)  # the tag of TFF's wheel: manylinux_2_31_x86_64
OLDEST_UV = (0, 8)

# Settings that would send uv or pip to another environment than `.venv`.
MISLEADING = (
    "CONDA_PREFIX",
    "PIP_TARGET",
    "PIP_USER",
    "PYTHONHOME",
    "PYTHONPATH",
    "UV_PYTHON",
    "UV_REQUIRE_HASHES",
    "UV_SYSTEM_PYTHON",
    "VIRTUAL_ENV",
)

# Where Linux distributions keep the certificates that the machine trusts, a company's
# own among them.
SYSTEM_CERTIFICATES = (
    Path("/etc/ssl/certs/ca-certificates.crt"),
    Path("/etc/pki/tls/certs/ca-bundle.crt"),
    Path("/etc/ssl/ca-bundle.pem"),
)

PROBE = """
import json, os, platform, sys
print(json.dumps({
    "path": os.path.realpath(getattr(sys, "_base_executable", sys.executable)),
    "version": sys.version_info[:2],
    "usable": platform.python_implementation() == "CPython" and sys.maxsize > 2**32,
}))
"""


class SetUpError(Exception):
    """What stops the set-up, in words for the person who ran `make`."""


class Interpreter(NamedTuple):
    """A Python that answered: where it really is, and what it is."""

    path: str
    version: Tuple[int, int]
    usable: bool  # CPython, 64-bit


def refuse_platform(system: str, machine: str, glibc: str) -> None:
    """Refuses platforms that TensorFlow Federated has no wheel for.

    Args:
        system: As `platform.system()` says.
        machine: As `platform.machine()` says.
        glibc: Version of the GNU C library; empty where there is none.

    Raises:
        SetUpError: If TensorFlow Federated can't be installed on it.
    """
    if system != "Linux" or machine not in ("x86_64", "AMD64"):
        raise SetUpError(
            "TensorFlow Federated is published for Linux on x86-64 only, and this "
            "is {} on {}. Use a Linux x86-64 machine, virtual machine or "
            "container (on Windows: WSL 2).".format(system, machine)
        )
    if not glibc:
        raise SetUpError(
            "TensorFlow Federated needs the GNU C library, which this Linux "
            "doesn't have. Use a distribution with glibc, such as Debian."
        )
    if tuple(map(int, re.findall(r"\d+", glibc)[:2])) < OLDEST_GLIBC:
        raise SetUpError(
            "TensorFlow Federated needs glibc {}.{} or later, and this Linux has "
            "{}. Debian 11, Ubuntu 20.04 and RHEL 9 are recent enough.".format(
                *OLDEST_GLIBC, glibc
            )
        )


def refuse_python(name: str, found: Optional[Interpreter]) -> None:
    """Refuses a forced interpreter that TensorFlow Federated can't run on.

    Args:
        name: How the user named it.
        found: What answered under that name.

    Raises:
        SetUpError: If it is missing or unsuitable.
    """
    if found is None:
        raise SetUpError("PYTHON={}: no Python answers there.".format(name))
    if found.version not in PYTHONS:
        raise SetUpError(
            "PYTHON={} is Python {}.{}, but TensorFlow Federated 0.87 and "
            "TensorFlow 2.14 run on Python 3.10 and 3.11 only. Leave PYTHON out to "
            "have a suitable one found or downloaded.".format(name, *found.version)
        )
    if not found.usable:
        raise SetUpError("PYTHON={} isn't a 64-bit CPython.".format(name))


def glibc_version() -> str:
    """Returns the GNU C library's version, or nothing where there is none."""
    try:
        return (os.confstr("CS_GNU_LIBC_VERSION") or "").replace("glibc", "").strip()
    except (AttributeError, OSError, ValueError):
        return ""


def clean_environ() -> Dict[str, str]:
    """Returns the environment variables that uv, pip and Python are run with.

    Those that lead to another environment are left out, and uv trusts the machine's
    certificates where there are any: its own list knows no company's proxy.
    """
    environ = {key: value for key, value in os.environ.items() if key not in MISLEADING}
    if any(path.exists() for path in SYSTEM_CERTIFICATES):
        environ.setdefault("UV_SYSTEM_CERTS", "true")
        environ.setdefault("UV_NATIVE_TLS", "true")  # in older uv
    return environ


def run(command: List[str], problem: str) -> None:
    """Runs a command in the project's folder; its output goes to the user.

    Args:
        command: Program and arguments.
        problem: Opens the message if it fails.

    Raises:
        SetUpError: If it fails.
    """
    status = subprocess.call(command, cwd=str(ROOT), env=clean_environ())
    if status:
        raise SetUpError("{} (exit status {}).".format(problem, status))


def output_of(command: List[str], timeout: float = 60) -> Optional[str]:
    """Returns what a command prints, or None if it fails."""
    try:
        return subprocess.check_output(
            command,
            env=clean_environ(),
            stderr=subprocess.DEVNULL,
            stdin=subprocess.DEVNULL,
            timeout=timeout,
            universal_newlines=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None


def ask_python(name: str) -> Optional[Interpreter]:
    """Asks an interpreter what it is; None if it doesn't answer."""
    answer = output_of([name, "-c", PROBE])
    try:
        fields = json.loads(answer or "")
        return Interpreter(fields["path"], tuple(fields["version"]), fields["usable"])
    except ValueError:
        return None


def find_python() -> Optional[Interpreter]:
    """Returns a suitable interpreter from PATH or pyenv's folder, if there is one."""
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    for version in PYTHONS:
        short = "python{}.{}".format(*version)
        pattern = "{}.{}.*/bin/{}".format(*version, short)
        names = [short, "python3", "python"]
        names += map(str, sorted((pyenv / "versions").glob(pattern), reverse=True))
        for name in names:
            found = ask_python(name)
            if found and found.version == version and found.usable:
                return found
    return None


def find_uv() -> str:
    """Returns uv's path: the one on PATH if recent enough, or the project's own.

    Raises:
        SetUpError: If there is none and none can be got.
    """
    on_path = shutil.which("uv")
    if on_path:
        answer = re.match(r"uv (\d+)\.(\d+)", output_of([on_path, "--version"]) or "")
        if answer and tuple(map(int, answer.groups())) >= OLDEST_UV:
            return on_path
    pin = re.search(r"^uv==(\S+)", UV_REQUIREMENT.read_text(), re.MULTILINE)
    own = TOOLS / "uv-{}".format(pin.group(1) if pin else "unpinned")
    if not os.access(str(own), os.X_OK):
        get_uv(own)
    return str(own)


def get_uv(target: Path) -> None:
    """Downloads uv's wheel with pip, checks its hash, and takes the program from it.

    Args:
        target: Where the program goes; appears there whole or not at all.

    Raises:
        SetUpError: If no pip can do it.
    """
    say("getting uv")
    with tempfile.TemporaryDirectory(dir=str(TOOLS)) as name:
        scratch = Path(name)
        problems = []
        for pip in pips(scratch):
            command = [*pip, "download", "--quiet", "--disable-pip-version-check"]
            command += ["--no-deps", "--require-hashes", "--only-binary=:all:"]
            command += ["--platform=manylinux2014_x86_64", "--python-version=3.11"]
            command += ["--dest", str(scratch), "--requirement", str(UV_REQUIREMENT)]
            answer = subprocess.run(
                command,
                env=clean_environ(),
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                universal_newlines=True,
                check=False,
            )
            problems += answer.stdout.strip().splitlines()[-3:]
            for wheel in scratch.glob("uv-*.whl"):
                with zipfile.ZipFile(str(wheel)) as files:
                    names = [x for x in files.namelist() if x.endswith("/scripts/uv")]
                    program = Path(files.extract(names[0], str(scratch)))
                program.chmod(0o755)
                program.replace(target)
                return
    raise SetUpError(
        "uv is not on PATH and pip could not get it. Install uv, or Python's pip "
        "(Debian, Ubuntu: `apt install python3-pip`), or check the network."
        + "".join("\n    " + line for line in problems)
    )


def pips(scratch: Path) -> Iterator[List[str]]:
    """Yields commands that run a pip.

    First this Python's, then one in a new virtual environment, then likewise for a
    suitable Python elsewhere.

    Args:
        scratch: A folder for the virtual environment.

    Yields:
        The command's words.
    """
    found = find_python()
    for python in [sys.executable] + ([found.path] if found else []):
        if output_of([python, "-m", "pip", "--version"]) is not None:
            yield [python, "-m", "pip"]
        venv = scratch / "venv"
        if output_of([python, "-m", "venv", "--clear", str(venv)], 300) is None:
            continue
        pip = [str(venv / "bin" / "python"), "-m", "pip"]
        if output_of([*pip, "install", "--upgrade", "pip"], 300) is not None:
            yield pip


def inputs_key() -> str:
    """Returns a hash of all that decides what the environment holds."""
    digest = hashlib.sha256(str(ROOT).encode())
    for path in INPUTS:
        digest.update(path.read_bytes())
    return digest.hexdigest()


def read_stamp() -> Dict[str, str]:
    """Returns what the last complete set-up wrote; empty if there is none."""
    if not os.access(str(VENV_PYTHON), os.X_OK):
        return {}
    try:
        return json.loads(STAMP.read_text())
    except (OSError, ValueError):
        return {}


def write_stamp(python: str) -> None:
    """Marks `.venv` as complete.

    Args:
        python: The interpreter that it was made with.
    """
    stamp = {"key": inputs_key(), "python": python, "root": str(ROOT)}
    partial = STAMP.with_suffix(".partial")
    partial.write_text(json.dumps(stamp))
    partial.replace(STAMP)


def is_complete(forced: Optional[Interpreter]) -> bool:
    """Tells whether `.venv` needs nothing, with the forced interpreter if any."""
    stamp = read_stamp()
    return stamp.get("key") == inputs_key() and (
        forced is None or forced.path == stamp.get("python")
    )


def make_venv(uv: str, forced: Optional[Interpreter]) -> str:
    """Makes an empty `.venv` in place of whatever is there.

    Args:
        uv: Path of uv.
        forced: The interpreter to use, if the user named one.

    Returns:
        The interpreter that it was made with.

    Raises:
        SetUpError: If there is no suitable Python and none can be downloaded.
    """
    if VENV.is_symlink():
        VENV.unlink()
    shutil.rmtree(str(VENV), ignore_errors=True)
    chosen = forced or find_python()
    wanted = chosen.path if chosen else "{}.{}".format(*PYTHONS[0])
    run(
        [uv, "venv", "--quiet", "--no-project", "--python", wanted, str(VENV)],
        "no Python 3.10 or 3.11 on PATH or under pyenv, and uv could not download "
        "one. Install Python 3.11, or name one: `make PYTHON=/path/to/python3.11`"
        if chosen is None
        else "uv could not make .venv with {}".format(chosen.path),
    )
    made = ask_python(str(VENV_PYTHON))
    if made is None:
        raise SetUpError("the Python in .venv doesn't run.")
    return made.path


def set_up(forced: Optional[Interpreter]) -> None:
    """Brings `.venv` up to date: in place if it was complete once, else anew.

    Args:
        forced: The interpreter to use, if the user named one.
    """
    stamp = read_stamp()
    say("making the environment in .venv; the first time takes some minutes")
    uv = find_uv()
    with contextlib.suppress(FileNotFoundError):
        STAMP.unlink()
    python = stamp.get("python", "")
    if stamp.get("root") != str(ROOT) or (forced and forced.path != python):
        python = make_venv(uv, forced)
    into = ["--quiet", "--python", str(VENV_PYTHON)]
    checked = ["--require-hashes", "--no-build", "--compile-bytecode"]
    run(
        [uv, "pip", "sync", *into, *checked, str(LOCK)],
        "requirements.lock could not be installed",
    )
    alone = ["--no-deps", "--no-build-isolation", "--offline"]
    run(
        [uv, "pip", "install", *into, *alone, "--editable", str(ROOT)],
        "the package itself could not be installed",
    )
    write_stamp(python)


def lock(upgrade: bool) -> None:
    """Makes `requirements.lock` anew from `pyproject.toml`.

    Args:
        upgrade: Moves every package to its newest allowed version; otherwise only
            those whose locked version is no longer allowed.
    """
    command = [find_uv(), "pip", "compile", "--quiet", "pyproject.toml"]
    command += ["--all-extras", "--group=dev", "--universal", "--python-version=3.10"]
    command += ["--no-python-downloads", "--only-binary=:all:", "--generate-hashes"]
    command += ["--no-emit-index-url", "--no-emit-find-links"]
    command += ["--no-emit-index-annotation", "--custom-compile-command=make lock"]
    command += ["--upgrade"] if upgrade else []
    command += ["--output-file", LOCK.name]
    run(command, "requirements.lock could not be made")


def say(text: str) -> None:
    """Tells the user what happens; standard output stays free for the job's."""
    sys.stderr.write("set-up: {}\n".format(text))
    sys.stderr.flush()


@contextlib.contextmanager
def only_one() -> Iterator[None]:
    """Keeps other set-ups of this folder waiting; ends with the process."""
    import fcntl  # not on Windows, which gets its refusal first

    TOOLS.mkdir(exist_ok=True)
    with (TOOLS / "set_up.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            say("waiting for another set-up to end")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def main(arguments: Optional[List[str]] = None) -> int:
    """Sets up, or makes the lock; returns the exit status."""
    parser = argparse.ArgumentParser(description="Makes .venv, the environment.")
    parser.add_argument("--python", default="", help="interpreter to use")
    parser.add_argument("--lock", action="store_true", help="make the lock instead")
    parser.add_argument("--upgrade", action="store_true", help="newest versions")
    options = parser.parse_args(arguments)
    try:
        refuse_platform(platform.system(), platform.machine(), glibc_version())
        forced = None
        if options.python:
            forced = ask_python(options.python)
            refuse_python(options.python, forced)
        if options.lock:
            with only_one():
                lock(options.upgrade)
        elif not is_complete(forced):
            with only_one():
                if not is_complete(forced):  # another set-up may just have done it
                    set_up(forced)
    except SetUpError as error:
        say("error: {}".format(error))
        return 1
    except KeyboardInterrupt:
        say("interrupted; the next call starts anew")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
