"""Runs binaries again and again, each time in a fork that has the imports.

    python fork_server.py CODE [experiments.NAME]

CODE is executed first; then what the binary imports is imported. Each line of standard
input is a JSON list: a binary's module, its arguments, its working directory, after how
many seconds it is ended, and a folder for `stdout`, `stderr` and `imported`, the names
of modules. Each line of standard output is an exit code. It ends with its input.
"""

import ast
import contextlib
import gc
import importlib.util
import json
import os
import pathlib
import runpy
import signal
import sys
import traceback

HEAVY = {"tensorflow", "tensorflow_federated", "keras"}


def import_what_it_imports(module):
    """Not the binary itself, which a fork runs as `__main__`."""
    source = pathlib.Path(importlib.util.find_spec(module).origin).read_text()
    for node in ast.parse(source).body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            exec(compile(ast.Module([node], []), module, "exec"), {})


def import_what_it_imported(names):
    """When it ran, so that the next fork has that too."""
    for name in names:
        # What is heavy is to be noticed again; `experiments` define flags.
        if name.partition(".")[0] not in HEAVY | {"experiments", "__main__"}:
            with contextlib.suppress(ImportError):
                importlib.import_module(name)


def run(module, arguments, directory, seconds, folder):
    """Never returns."""
    for number, name in enumerate((os.devnull, folder / "stdout", folder / "stderr")):
        flags = os.O_WRONLY | os.O_CREAT if number else os.O_RDONLY
        os.dup2(os.open(name, flags), number)
    os.chdir(directory)
    signal.alarm(seconds)
    sys.argv = [module, *arguments]
    before, code = set(sys.modules), 1
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
        code = 0
    except SystemExit as end:
        code = end.code or 0
    except BaseException:
        traceback.print_exc()
    finally:
        imported = (set(sys.modules) - before) | (set(sys.modules) & HEAVY)
        (folder / "imported").write_text("\n".join(imported))
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def main(code, prepared=None):
    gc.disable()  # a third of the time that TensorFlow's import takes
    exec(code, {"sys": sys})
    if prepared:
        import_what_it_imports(prepared)
    gc.freeze()
    gc.enable()
    for line in sys.stdin:
        *request, name = json.loads(line)
        folder = pathlib.Path(name)
        if (pid := os.fork()) == 0:
            run(*request, folder)
        _, status = os.waitpid(pid, 0)
        # With the answer the folder may go.
        imported = (folder / "imported").read_text().split()
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()
        if prepared:
            import_what_it_imported(imported)


if __name__ == "__main__":
    main(*sys.argv[1:])
