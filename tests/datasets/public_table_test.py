"""Public tables are found by what their files hold, or downloaded, or refused."""

import gzip
import hashlib

import pandas as pd
import pytest

from tests.datasets.file_server import Behaviour, serve
from tff_finance.datasets.download import DownloadError, Patience
from tff_finance.datasets.public_file import PublicFile, PublicFileError
from tff_finance.datasets.public_table import Edition, PublicTable

CONTENT = b"a,b\n1,2\n3,4\n"
OTHER = b"a,b\n1,2\n3,5\n"


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def file_of(content, name="table.csv", **options):
    return PublicFile(
        name=name,
        sha256=hashlib.sha256(content).hexdigest(),
        size=len(content),
        description="a table",
        **options,
    )


def rows_of(contents):
    return pd.DataFrame({"content": list(contents)})


def table_of(*editions):
    return PublicTable(
        name="tiny",
        title="A tiny table",
        contract="tiny",
        folder="tiny_folder",
        editions=tuple(Edition(files=files, read=rows_of) for files in editions),
        how_to_get="Ask for it.",
    )


def contents_of(found):
    return list(found.read()["content"])


@pytest.mark.parametrize("folder", ["", "tiny_folder"])
@pytest.mark.parametrize("name", ["table.csv", "renamed"])
@pytest.mark.parametrize("packed", [False, True])
def test_file_is_recognised_by_its_content(tmp_path, folder, name, packed):
    path = tmp_path / folder / (name + ".gz" * packed)
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(gzip.compress(CONTENT, 1) if packed else CONTENT)
    found = table_of([file_of(CONTENT)]).find(tmp_path)
    assert found is not None
    assert found.paths == (path,)
    assert contents_of(found) == [CONTENT]


def test_line_ends_may_differ_where_copies_do(tmp_path):
    (tmp_path / "from_windows.csv").write_bytes(CONTENT.replace(b"\n", b"\r\n"))
    assert table_of([file_of(CONTENT)]).find(tmp_path) is None
    tolerant = table_of([file_of(CONTENT * 9, any_line_ends=True)])
    assert tolerant.find(tmp_path) is None
    windows = (CONTENT * 9).replace(b"\n", b"\r\n")
    (tmp_path / "table.csv").write_bytes(windows)
    found = tolerant.find(tmp_path)
    assert found is not None
    assert contents_of(found) == [CONTENT * 9]


@pytest.mark.parametrize(
    "content",
    [
        OTHER,  # of the same size
        CONTENT[:-3],
        CONTENT + b"\n",
        b"",
        gzip.compress(CONTENT, mtime=0)[:-3],  # packed, and cut off
        gzip.compress(OTHER, mtime=0),
        gzip.compress(b"0" * 10_000_000, mtime=0),
    ],
    ids=["other", "short", "long", "empty", "cut", "packed", "bomb"],
)
def test_file_of_its_name_and_other_content_is_refused_and_left_alone(
    tmp_path, content
):
    path = tmp_path / "table.csv"
    path.write_bytes(content)
    table = table_of([file_of(CONTENT, address="http://127.0.0.1:9/table.csv")])
    with pytest.raises(PublicFileError, match="is not the file of that name") as raised:
        table.fetch(tmp_path)
    assert str(path) in str(raised.value)
    assert file_of(CONTENT).sha256 in str(raised.value)
    assert path.read_bytes() == content


def test_file_of_another_name_and_other_content_is_passed_over(tmp_path):
    (tmp_path / "a_copy").write_bytes(OTHER)
    (tmp_path / "table.csv").write_bytes(CONTENT)
    found = table_of([file_of(CONTENT)]).find(tmp_path)
    assert found is not None
    assert found.paths == (tmp_path / "table.csv",)


def test_first_complete_edition_is_read(tmp_path):
    (tmp_path / "one.csv").write_bytes(CONTENT)
    (tmp_path / "single.csv").write_bytes(OTHER)
    both = [file_of(CONTENT, "one.csv"), file_of(b"second", "two.csv")]
    table = table_of(both, [file_of(OTHER, "single.csv")])
    found = table.find(tmp_path)
    assert found is not None
    assert contents_of(found) == [OTHER]
    (tmp_path / "two.csv").write_bytes(b"second")
    found = table.find(tmp_path)
    assert found is not None
    assert contents_of(found) == [CONTENT, b"second"]


def test_missing_table_is_downloaded_into_its_folder_once(tmp_path):
    behaviour = Behaviour(CONTENT)
    with serve(behaviour) as address:
        table = table_of(
            [file_of(OTHER, "derived.csv")], [file_of(CONTENT, address=address)]
        )
        found = table.fetch(tmp_path)
        assert found.paths == (tmp_path / "tiny_folder" / "table.csv",)
        assert contents_of(found) == [CONTENT]
        table.fetch(tmp_path)
    assert len(behaviour.requests) == 1


def test_failed_download_leaves_nothing(tmp_path):
    with serve(Behaviour(OTHER)) as address:
        table = table_of([file_of(CONTENT, address=address)])
        with pytest.raises(DownloadError, match="SHA-256"):
            table.fetch(tmp_path, patience=Patience(pause_seconds=0.001))
    assert list(tmp_path.iterdir()) == []


def test_missing_table_without_an_address_says_what_to_do(tmp_path):
    (tmp_path / "one.csv").write_bytes(CONTENT)
    table = table_of([file_of(CONTENT, "one.csv"), file_of(b"second", "two.csv")])
    with pytest.raises(PublicFileError) as raised:
        table.fetch(tmp_path)
    message = str(raised.value)
    assert "two.csv" in message
    assert "one.csv" not in message
    assert "Ask for it." in message
    assert str(tmp_path / "tiny_folder") in message


def test_missing_folder_is_as_an_empty_one(tmp_path):
    assert table_of([file_of(CONTENT)]).find(tmp_path / "none") is None
