"""The report in a real browser, wide and narrow, in both languages."""

import itertools

import pytest

from tests.report import browser
from tests.report.sample import sample_study
from tff_finance.report.catalogue import Words
from tff_finance.report.page import build_page, render_page


@pytest.fixture(scope="module", params=["en", "zh"])
def page(request):
    browser.chromium()
    words = Words(request.param)
    return render_page(
        build_page([sample_study()], words), words, folder="report_files"
    )


@pytest.fixture(scope="module", params=[390, 1280])
def seen(request, page, tmp_path_factory):
    return browser.look(page, tmp_path_factory.mktemp("browser"), request.param)


def test_all_figures_are_drawn(page, seen):
    assert len(seen["figures"]) == page.count("<figure>") > 8
    for figure in seen["figures"]:
        assert min(figure["width"], figure["height"]) > 100, figure
        assert figure["shapes"] > 10, figure
        assert figure["label"]


def test_no_text_of_a_figure_is_cut_off(seen):
    assert [figure["clipped"] for figure in seen["figures"] if figure["clipped"]] == []


def test_console_is_clean_and_nothing_is_asked_for(seen):
    assert seen["console"] == []
    assert seen["resources"] == []
    assert seen["asked"] == []


def test_the_page_is_no_wider_than_the_window(seen):
    assert seen["scrollWidth"] <= seen["width"]


def test_headings_are_in_order(seen):
    headings = seen["headings"]
    assert headings[0] == 1
    assert headings.count(1) == 1
    steps = [b - a for a, b in itertools.pairwise(headings)]
    assert max(steps) <= 1


def test_prints_to_pdf(page, tmp_path):
    (tmp_path / "report.html").write_text(page, encoding="utf-8")
    pdf = tmp_path / "report.pdf"
    browser.run(tmp_path, f"--print-to-pdf={pdf}", (tmp_path / "report.html").as_uri())
    content = pdf.read_bytes()
    assert content.startswith(b"%PDF")
    assert content.count(b"/Type /Page\n") + content.count(b"/Type /Page ") >= 3


def test_the_browser_would_notice(tmp_path):
    """What the tests above look for is seen where it is."""
    browser.chromium()
    bad = (
        "<!DOCTYPE html><body><h1>1</h1><img src='http://bank.invalid/a.png'>"
        "<figure><svg aria-label='a' width='10' height='0'>"
        "<text x='-50' y='5'>cut</text></svg></figure>"
        "<div style='width:2000px'>wide</div>"
        "<script>console.error('noise')</script></body>"
    )
    seen = browser.look(bad, tmp_path, 390)
    assert any("noise" in line for line in seen["console"])
    assert seen["resources"] == ["http://bank.invalid/a.png"]
    assert seen["asked"] == ["http://bank.invalid/a.png"]
    assert seen["scrollWidth"] > seen["width"]
    assert seen["figures"][0]["height"] == 0
    assert seen["figures"][0]["clipped"] == ["cut"]
