"""Writes one page about a run, or about several side by side, from records alone.

A record is the folder record/ that a run leaves behind. Writes the HTML file,
which needs no other, and beside it a folder with its figures and tables. Takes
seconds and doesn't import TensorFlow.
"""

import pathlib

from absl import flags

from experiments import command_line

_RECORD = flags.DEFINE_multi_string(
    "record", None, "Folder of a run's record; repeat it to compare several."
)
_SWEEP = flags.DEFINE_string(
    "sweep", None, "sweep.csv of experiments.sweep_heterogeneity. Default: no sweep."
)
_OUTPUT = flags.DEFINE_string("output", "report.html", "The HTML file to write.")
_LANGUAGE = flags.DEFINE_enum("language", "en", ["en", "zh"], "Language of the page.")


def main() -> None:
    """Writes the page."""
    names = [name for given in _RECORD.value for name in given.split(",")]
    if not all(names):
        command_line.usage_error("--record: must name a folder, got an empty text.")
    folders = [pathlib.Path(name) for name in names]
    if len({folder.resolve() for folder in folders}) < len(folders):
        command_line.usage_error("--record: the same record is given twice.")
    output = pathlib.Path(_OUTPUT.value)
    if output.suffix != ".html":
        command_line.usage_error(f"--output must end in .html, got {output}.")
    command_line.output_directory(str(output.parent), flag="output")

    from experiments import study_files
    from tff_finance.report.catalogue import Words
    from tff_finance.report.page import build_page, write_page

    studies = [
        study_files.read_study(folder, key=f"run{n}_" if len(folders) > 1 else "")
        for n, folder in enumerate(folders, start=1)
    ]
    sweep = None if _SWEEP.value is None else study_files.read_sweep(_SWEEP.value)
    words = Words(_LANGUAGE.value)
    study_files.warn_of_missing_font(words)
    try:
        write_page(build_page(studies, words, sweep=sweep), words, output)
    except OSError as error:
        place = error.filename or output
        command_line.failure(f"--output: can't write {place}: {error.strerror}")
    command_line.report_progress(
        f"Wrote {output}, and its figures and tables to {output.stem}_files/."
    )


if __name__ == "__main__":
    flags.mark_flag_as_required("record")
    command_line.run(main)
