"""The headline's figure alone, for pages other than the report."""

import pathlib

from tff_finance.report.catalogue import Words
from tff_finance.report.content import Study
from tff_finance.report.rendering import Drawing
from tff_finance.report.results_sections import headline_picture


def write_headline(study: Study, words: Words, path: pathlib.Path) -> None:
    """Writes the figure of a study's headline.

    Args:
        study: What it is about.
        words: Its language.
        path: PNG or SVG file.
    """
    Drawing(headline_picture(study, words), words).write(path)
