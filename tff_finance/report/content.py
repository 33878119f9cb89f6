"""What a page is made of: studies in; sections with pictures and tables out."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import matplotlib.figure
import pandas as pd

from tff_finance.records.run_record import RunRecord
from tff_finance.report.catalogue import Words


@dataclasses.dataclass(frozen=True, kw_only=True)
class Study:
    """One record and its summary.

    Attributes:
        key: Begins the names of its files and anchors; empty if it is alone.
        record: The record.
        summary: The content of its `summary.json`.
    """

    key: str
    record: RunRecord
    summary: Mapping[str, Any]

    @property
    def methods(self) -> list[str]:
        """Names of the methods, in order."""
        return list(self.summary["methods"])

    @property
    def banks(self) -> list[str]:
        """Names of the institutions, in order."""
        return list(self.summary["institutions"])

    @property
    def is_of_real_tables(self) -> bool:
        """Whether the rows are given, and no seed redraws them."""
        return "dataset" in self.summary["config"]

    @property
    def metric(self) -> str:
        """The metric that the page is about."""
        return "auc" if self.is_of_real_tables else "accuracy"

    @property
    def federated(self) -> str | None:
        """The first federated method: the one that the summary text is about."""
        return next((m for m in self.methods if m.startswith("fed_")), None)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Picture:
    """A figure.

    Attributes:
        name: Stem of its files.
        title: What it shows, above it.
        alt: What it shows, for those who can't see it.
        draw: Draws it with words of a language, which need not be the page's.
    """

    name: str
    title: str
    alt: str
    draw: Callable[[Words], matplotlib.figure.Figure]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Table:
    """A table for the page and for a CSV file.

    Attributes:
        name: Stem of its file.
        caption: What it shows.
        header: The page's column names.
        rows: The page's cells; the first of a row names it.
        frame: The numbers, with English column names.
    """

    name: str
    caption: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    frame: pd.DataFrame


@dataclasses.dataclass(frozen=True, kw_only=True)
class Section:
    """A part of the page under one heading.

    Attributes:
        anchor: Its place in links.
        title: Its heading.
        paragraphs: How to read it.
        pictures: Figures, side by side where there is room.
        tables: Tables, below the figures.
        notes: What is to be said of figures and tables, below them.
    """

    anchor: str
    title: str
    paragraphs: Sequence[str] = ()
    pictures: Sequence[Picture] = ()
    tables: Sequence[Table] = ()
    notes: Sequence[str] = ()
