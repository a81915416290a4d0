"""The display of a transfer: words against numbers, a bar on a terminal, rare lines elsewhere."""

import pytest

from subgrid.cli import transfers
from subgrid.source.hub.download import DownloadProgress


@pytest.mark.parametrize(
    ("progress", "text"),
    [
        (DownloadProgress(0, 6_700_000_000, 0, 4464, 0, 0.0), "0 B of 6.7 GB, 0 of 4,464 files"),
        (DownloadProgress(10, 10, 3, 3, 0, 1.0), "10 B of 10 B, 3 of 3 files"),
        (
            DownloadProgress(1_200_000_000, 6_700_000_000, 812, 4464, 1_000_000_000, 100.0),
            "1.2 GB of 6.7 GB, 812 of 4,464 files, 10 MB/s, 9:10 left",
        ),
        (DownloadProgress(50, 40, 1, 1, 50, 0.0), "50 B of 40 B, 1 of 1 files, 50 kB/s, 0:00 left"),
    ],
)
def test_words(progress: DownloadProgress, text: str) -> None:
    assert transfers.words(progress) == text


def test_a_log_gets_a_line_now_and_then(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    now = [0.0]
    monkeypatch.setattr(transfers.time, "monotonic", lambda: now[0])
    with transfers.transfers("download") as report:
        for second in range(0, 40):
            now[0] = float(second)
            report(DownloadProgress(second, 40, 1, 2, second, second))
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.splitlines() == [
        "download: 16 B of 40 B, 1 of 2 files, 1 B/s, 0:24 left",
        "download: 32 B of 40 B, 1 of 2 files, 1 B/s, 0:08 left",
    ]


def test_a_terminal_gets_one_bar(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(transfers.sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "160")
    with transfers.transfers("download") as report:
        report(DownloadProgress(30, 40, 1, 2, 30, 1.0))
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "30 B of 40 B, 1 of 2 files, 30 B/s, 0:00 left" in captured.err
