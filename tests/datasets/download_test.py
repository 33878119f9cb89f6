"""Downloads from a server on loopback: the pinned bytes, or an error and nothing."""

import fcntl
import hashlib

import numpy as np
import pytest

from tests.datasets.file_server import Behaviour, serve, unreachable_address
from tff_finance.datasets.download import (
    DownloadError,
    Patience,
    RemoteFile,
    download,
)

CONTENT = np.random.default_rng(0).bytes(300_000)
HALF = 147_456  # whole chunks: what is in a started one is lost
CHUNK = 8_192
HASTE = Patience(connect_seconds=2, read_seconds=2, attempts=3, pause_seconds=0.001)


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "data" / "folder" / "table.zip"


def part_of(path):
    return path.with_name("table.zip.part")


def remote(address, content=CONTENT):
    return RemoteFile(
        address=address, sha256=hashlib.sha256(content).hexdigest(), size=len(content)
    )


def fetch(behaviour, path, patience=HASTE):
    with serve(behaviour) as address:
        download(remote(address), path, patience=patience)


def failure(behaviour, path, patience=HASTE):
    with serve(behaviour) as address:
        with pytest.raises(DownloadError) as raised:
            download(remote(address), path, patience=patience)
        message = str(raised.value)
        assert address in message
    assert str(path) in message
    assert not path.exists()
    return message


def leave_part(path, content):
    path.parent.mkdir(parents=True)
    part_of(path).write_bytes(content)


def names_beside(path):
    return sorted(each.name for each in path.parent.iterdir())


def asked(behaviour):
    return [request.get("Range") for request in behaviour.requests]


@pytest.mark.parametrize("says_length", [True, False])
def test_complete_file_arrives(path, says_length):
    behaviour = Behaviour(CONTENT, says_length=says_length)
    fetch(behaviour, path)
    assert path.read_bytes() == CONTENT
    assert names_beside(path) == ["table.zip"]
    assert asked(behaviour) == [None]
    # A server that packs what it sends would send other bytes.
    assert behaviour.requests[0]["Accept-Encoding"] == "identity"


def test_old_file_is_replaced_only_by_the_right_one(path):
    path.parent.mkdir(parents=True)
    path.write_bytes(b"old")
    with serve(Behaviour(CONTENT[::-1])) as address, pytest.raises(DownloadError):
        download(remote(address), path, patience=HASTE)
    assert path.read_bytes() == b"old"
    fetch(Behaviour(CONTENT), path)
    assert path.read_bytes() == CONTENT


@pytest.mark.parametrize("says_length", [True, False])
def test_transfer_that_breaks_off_is_resumed_within_the_call(path, says_length):
    behaviour = Behaviour(CONTENT, cut_after=[HALF, None], says_length=says_length)
    fetch(behaviour, path)
    assert path.read_bytes() == CONTENT
    assert asked(behaviour) == [None, f"bytes={HALF}-"]
    assert behaviour.requests[1]["If-Range"] == '"one"'


def test_weak_validator_is_no_condition(path):
    behaviour = Behaviour(CONTENT, cut_after=[HALF, None], etag='W/"one"')
    fetch(behaviour, path)
    assert path.read_bytes() == CONTENT
    assert "If-Range" not in behaviour.requests[1]


def test_file_that_changes_between_attempts_is_sent_whole(path):
    behaviour = Behaviour(CONTENT[::-1], cut_after=[HALF, None], etag='"old"')

    class Changing(list):
        def append(self, request):
            if self:
                behaviour.content, behaviour.etag = CONTENT, '"new"'
            super().append(request)

    behaviour.requests = Changing()
    fetch(behaviour, path)
    assert path.read_bytes() == CONTENT


def test_server_that_keeps_breaking_off_leaves_a_part_to_go_on_from(path):
    behaviour = Behaviour(CONTENT, cut_after=[CHUNK + 10])
    message = failure(behaviour, path)
    assert len(behaviour.requests) == HASTE.attempts
    assert f"{3 * CHUNK:,} of 300,000 bytes came in 3 attempts" in message
    assert str(part_of(path)) in message
    assert names_beside(path) == ["table.zip.part"]
    assert part_of(path).read_bytes() == CONTENT[: 3 * CHUNK]

    going_on = Behaviour(CONTENT)
    fetch(going_on, path)
    assert path.read_bytes() == CONTENT
    assert asked(going_on) == [f"bytes={3 * CHUNK}-"]
    assert names_beside(path) == ["table.zip"]


def test_server_without_ranges_begins_anew(path):
    leave_part(path, CONTENT[:HALF])
    behaviour = Behaviour(CONTENT, ranges=False)
    fetch(behaviour, path)
    assert path.read_bytes() == CONTENT
    assert asked(behaviour) == [f"bytes={HALF}-"]


def test_server_that_sends_another_range_is_not_believed(path):
    leave_part(path, CONTENT[:HALF])
    behaviour = Behaviour(CONTENT, wrong_range=True)
    fetch(behaviour, path)
    assert path.read_bytes() == CONTENT
    assert asked(behaviour) == [f"bytes={HALF}-", None]


@pytest.mark.parametrize("size", [HALF, len(CONTENT), len(CONTENT) + 5])
def test_part_of_another_file_is_thrown_away(path, size):
    leave_part(path, b"x" * size)
    fetch(Behaviour(CONTENT), path)
    assert path.read_bytes() == CONTENT
    assert names_beside(path) == ["table.zip"]


def test_complete_part_needs_no_request(path):
    leave_part(path, CONTENT)
    behaviour = Behaviour(CONTENT)
    fetch(behaviour, path)
    assert path.read_bytes() == CONTENT
    assert behaviour.requests == []


def test_corrupted_file_is_refused_and_deleted(path, tmp_path):
    corrupted = CONTENT[:HALF] + b"?" + CONTENT[HALF + 1 :]
    message = failure(Behaviour(corrupted), path)
    assert hashlib.sha256(corrupted).hexdigest() in message
    assert hashlib.sha256(CONTENT).hexdigest() in message
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("says_length", [True, False])
def test_longer_file_is_refused_and_deleted(path, tmp_path, says_length):
    longer = Behaviour(CONTENT + b"?" * 10_000_000, says_length=says_length)
    assert "longer than the 300,000 bytes" in failure(longer, path)
    assert list(tmp_path.iterdir()) == []


def test_shorter_file_is_refused(path):
    # Complete for the server, so that each attempt asks beyond its end.
    message = failure(Behaviour(CONTENT[:HALF]), path)
    assert "of 300,000 bytes came" in message


def test_missing_file_is_named_and_leaves_nothing(path, tmp_path):
    behaviour = Behaviour(CONTENT, status=[404])
    message = failure(behaviour, path)
    assert "404" in message
    assert "put it into" in message
    assert len(behaviour.requests) == 1  # it won't come back
    assert list(tmp_path.iterdir()) == []


def test_missing_file_leaves_an_earlier_part(path):
    leave_part(path, CONTENT[:HALF])
    failure(Behaviour(CONTENT, status=[404]), path)
    assert part_of(path).read_bytes() == CONTENT[:HALF]


def test_busy_server_is_asked_again(path):
    behaviour = Behaviour(CONTENT, status=[503, 429, 200])
    fetch(behaviour, path)
    assert path.read_bytes() == CONTENT
    assert len(behaviour.requests) == 3


def test_server_out_of_order_is_named(path, tmp_path):
    assert "503" in failure(Behaviour(CONTENT, status=[503]), path)
    assert list(tmp_path.iterdir()) == []


def test_unreachable_server_is_named_and_leaves_nothing(path, tmp_path):
    address = unreachable_address()
    with pytest.raises(DownloadError) as raised:
        download(remote(address), path, patience=HASTE)
    assert address in str(raised.value)
    assert "could not be reached" in str(raised.value)
    assert list(tmp_path.iterdir()) == []


def test_slow_server_is_waited_for(path):
    fetch(Behaviour(CONTENT, silence=0.2), path)
    assert path.read_bytes() == CONTENT


def test_silent_server_is_given_up_with_what_came(path):
    patience = Patience(read_seconds=0.1, attempts=2, pause_seconds=0.001)
    message = failure(Behaviour(CONTENT, silence=30), path, patience)
    assert "fell silent" in message
    kept = part_of(path).read_bytes()
    assert 0 < len(kept) < len(CONTENT)
    assert CONTENT.startswith(kept)


def test_second_process_is_told_to_wait(path):
    leave_part(path, b"")
    with part_of(path).open("ab") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        assert "another process" in failure(Behaviour(CONTENT), path)
        assert part_of(path).exists()
    fetch(Behaviour(CONTENT), path)
    assert path.read_bytes() == CONTENT


def test_folder_that_can_not_be_made_is_named(tmp_path):
    (tmp_path / "data").write_text("a file")
    with serve(Behaviour(CONTENT)) as address, pytest.raises(OSError) as raised:  # noqa: PT011
        download(remote(address), tmp_path / "data" / "table.zip", patience=HASTE)
    assert str(tmp_path / "data") in raised.value.filename


@pytest.mark.parametrize("sha256", ["", "unknown", "A" * 64, "0" * 63])
def test_file_without_a_checksum_is_not_downloaded(sha256):
    with pytest.raises(ValueError, match="without a known checksum"):
        RemoteFile(address="http://127.0.0.1/table.zip", sha256=sha256, size=1)
