"""Draws the headline's figure from a record: accuracy on whose customers.

The README's figure is docs/headline.png.
"""

import pathlib

from absl import flags

from experiments import command_line

_RECORD = flags.DEFINE_string("record", None, "Folder of a run's record.")
_OUTPUT = flags.DEFINE_string("output", None, "PNG or SVG file to write.")
_LANGUAGE = flags.DEFINE_enum("language", "en", ["en", "zh"], "Language of its words.")


def main() -> None:
    """Draws the figure."""
    output = pathlib.Path(_OUTPUT.value)
    if output.suffix not in {".png", ".svg"}:
        command_line.usage_error(f"--output must end in .png or .svg, got {output}.")
    command_line.output_directory(str(output.parent), flag="output")

    from experiments import study_files
    from tff_finance.report.catalogue import Words
    from tff_finance.report.rendering import Drawing
    from tff_finance.report.results_sections import headline_picture

    study = study_files.read_study(pathlib.Path(_RECORD.value))
    words = Words(_LANGUAGE.value)
    study_files.warn_of_missing_font(words)
    Drawing(headline_picture(study, words), words).write(output)


if __name__ == "__main__":
    flags.mark_flags_as_required(["record", "output"])
    command_line.run(main)
