"""The page: sections in order, and everything written beside it."""

import dataclasses
import pathlib
import types
from collections.abc import Mapping, Sequence

import jinja2
import markupsafe
import pandas as pd

from tff_finance.records import files
from tff_finance.report import styles
from tff_finance.report.attacks_section import attacks_section
from tff_finance.report.bank_section import bank_section
from tff_finance.report.catalogue import Words
from tff_finance.report.comparison_section import (
    comparison_section,
    run_name,
    study_title,
)
from tff_finance.report.compression_section import compression_section
from tff_finance.report.content import Picture, Section, Study
from tff_finance.report.contribution_section import contribution_section
from tff_finance.report.distribution_section import distribution_section
from tff_finance.report.findings import Tile, findings, tiles, tiles_note
from tff_finance.report.learning_section import learning_section
from tff_finance.report.privacy_section import privacy_section
from tff_finance.report.real_sections import market_section, own_rows_section
from tff_finance.report.rendering import Drawing
from tff_finance.report.results_sections import gain_section, headline_section
from tff_finance.report.score_curves import ScoreHistograms
from tff_finance.report.score_section import score_section
from tff_finance.report.settings_section import settings_section
from tff_finance.report.sweep_section import sweep_section
from tff_finance.report.traffic_section import traffic_section

_TEMPLATES = pathlib.Path(__file__).parent / "templates"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Part:
    """What the page says about one record.

    Attributes:
        anchor: Its place in links.
        title: Its heading; empty if it is the only one.
        tiles: Numbers to see at first sight.
        tiles_note: What they are.
        findings: The summary in plain language.
        sections: Figures and tables.
    """

    anchor: str
    title: str
    tiles: Sequence[Tile]
    tiles_note: str
    findings: Sequence[str]
    sections: Sequence[Section]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Page:
    """Everything on the page.

    Attributes:
        heading: The question that it answers.
        opening: Sections before the parts.
        parts: One per record.
        closing: Sections after the parts.
    """

    heading: str
    opening: Sequence[Section]
    parts: Sequence[Part]
    closing: Sequence[Section]

    @property
    def sections(self) -> list[Section]:
        """All sections, in order."""
        return [
            *self.opening,
            *(section for part in self.parts for section in part.sections),
            *self.closing,
        ]


def build_page(
    studies: Sequence[Study], words: Words, *, sweep: pd.DataFrame | None = None
) -> Page:
    """Puts the page together.

    Args:
        studies: At least one; several are compared first.
        words: The language.
        sweep: The content of a sweep's `sweep.csv`.

    Returns:
        The page.
    """
    several = len(studies) > 1
    parts, closing = [], []
    if sweep is not None:
        closing.append(sweep_section(sweep, words))
    for number, study in enumerate(studies, start=1):
        title = study_title(number, study, words) if several else ""
        parts.append(
            Part(
                anchor=f"{study.key}part",
                title=title,
                tiles=tiles(study, words),
                tiles_note=tiles_note(study, words),
                findings=findings(study, words),
                sections=_sections(study, words),
            )
        )
        settings = settings_section(study, words)
        if several:
            heading = words.say(
                "%(title)s (%(run)s)",
                title=settings.title,
                run=run_name(number, words),
            )
            settings = dataclasses.replace(settings, title=heading)
        closing.append(settings)
    return Page(
        heading=_heading(studies, words),
        opening=[comparison_section(studies, words)] if several else [],
        parts=parts,
        closing=closing,
    )


def _heading(studies: Sequence[Study], words: Words) -> str:
    if all("attacks" in study.summary and not study.methods for study in studies):
        return words.say("What do updates and models tell about customers?")
    return words.say("What would the banks gain from training together?")


def write_page(page: Page, words: Words, path: pathlib.Path) -> None:
    """Writes the page, and its figures and tables into a folder beside it.

    Args:
        page: What to write.
        words: Its language.
        path: The HTML file; `report.html` has its files in `report_files`.
    """
    folder = path.with_name(f"{path.stem}_files")
    inline = {}
    for section in page.sections:
        for picture in section.pictures:
            drawing = Drawing(picture, words)
            drawing.write(folder / f"{picture.name}.svg")
            drawing.write(folder / f"{picture.name}.png")
            inline[picture.name] = drawing.inline_svg
        for table in section.tables:
            files.write_csv(folder / f"{table.name}.csv", table.frame)
    text = render_page(page, words, folder=folder.name, inline=inline)
    files.write_atomically(path, lambda p: _write_text(p, text))


def render_page(
    page: Page,
    words: Words,
    *,
    folder: str,
    inline: Mapping[str, str] = types.MappingProxyType({}),
) -> str:
    """The page as HTML.

    Args:
        page: What to show.
        words: Its language.
        folder: Where links to files beside the page lead.
        inline: Figures that are drawn already, as `svg` elements by name.

    Returns:
        The text of one file that needs no other.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )

    def svg(picture: Picture) -> markupsafe.Markup:
        drawn = inline.get(picture.name) or Drawing(picture, words).inline_svg
        return markupsafe.Markup(drawn)

    return environment.get_template("report.html").render(
        page=page,
        words=words,
        folder=folder,
        svg=svg,
        _=words.say,
        english_images=not styles.has_glyphs(words),
        font_package=styles.FONT_PACKAGE,
    )


def _sections(study: Study, words: Words) -> list[Section]:
    attacks = attacks_section(study, words)
    if attacks and not study.methods:
        return [attacks]
    histograms = ScoreHistograms(study.record.histograms)
    opening = [headline_section, gain_section]
    if study.is_of_real_tables:
        opening = [market_section, own_rows_section]
    sections = [
        *[section(study, words) for section in opening],
        contribution_section(study, words),
        bank_section(study, words),
        learning_section(study, words),
        score_section(study, histograms, words),
        distribution_section(study, histograms, words),
        traffic_section(study, words),
        compression_section(study, words),
        privacy_section(study, words),
        attacks,
    ]
    return [section for section in sections if section is not None]


def _write_text(path: pathlib.Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
