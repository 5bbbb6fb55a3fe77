"""LOBSTER's files are read exactly, from a zip or from two files, and nonsense is told by its row."""

import zipfile
from pathlib import Path

import pytest

from infra.demo.lobster import Best, Kind, LobsterError, Message, Row, read_best, read_day, read_message

MESSAGES = "34200.015105074,4,15818974,4,5794000,1\r\n34200.2,1,16155653,100,5794100,-1\r\n"
BOOKS = "5802300,100,5794000,496\r\n9999999999,0,-9999999999,0\r\n"
DAY = [
    Row(
        Message(34_200_015_105_074, Kind.EXECUTED, 15_818_974, 4, 5_794_000, True),
        Best(5_802_300, 100),
        Best(5_794_000, 496),
    ),
    Row(Message(34_200_200_000_000, Kind.NEW, 16_155_653, 100, 5_794_100, False), Best(0, 0), Best(0, 0)),
]


@pytest.mark.parametrize("kind", list(Kind))
def test_every_kind_of_row_is_read(kind: Kind) -> None:
    message = read_message(["34200.5", str(kind.value), "7", "30", "5794000", "-1"])
    assert message == Message(34_200_500_000_000, kind, 7, 30, 5_794_000, buying=False)


@pytest.mark.parametrize(
    ("text", "time_ns"),
    [
        ("34200", 34_200_000_000_000),
        ("34200.1", 34_200_100_000_000),
        ("34200.000000001", 34_200_000_000_001),
        ("34200.0151050749999", 34_200_015_105_074),
    ],
)
def test_time_is_read_without_a_float(text: str, time_ns: int) -> None:
    assert read_message([text, "1", "7", "30", "5794000", "1"]).time_ns == time_ns


def test_only_the_best_level_is_read_of_a_deeper_book() -> None:
    assert read_best(["11", "1", "10", "2", "12", "3", "9", "4"]) == (Best(11, 1), Best(10, 2))


def test_a_zip_is_read(tmp_path: Path) -> None:
    path = tmp_path / "day.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("GOOG_message_1.csv", MESSAGES)
        archive.writestr("GOOG_orderbook_1.csv", BOOKS)
        archive.writestr("ReadMe.txt", "read me")
    assert list(read_day(path)) == DAY


def test_two_files_are_read(tmp_path: Path) -> None:
    (tmp_path / "GOOG_message_1.csv").write_text(MESSAGES)
    (tmp_path / "GOOG_orderbook_1.csv").write_text(BOOKS)
    assert list(read_day(tmp_path / "GOOG_message_1.csv")) == DAY


@pytest.mark.parametrize("name", ["GOOG_message_1.csv", "day.csv"])
def test_a_missing_book_file_is_asked_for(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text(MESSAGES)
    with pytest.raises(FileNotFoundError, match="book file beside it"):
        list(read_day(tmp_path / name))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no file .*nowhere\.zip"):
        list(read_day(tmp_path / "nowhere.zip"))


@pytest.mark.parametrize("names", [["GOOG_message_1.csv"], ["a_message_1.csv", "b_message_1.csv", "a_orderbook_1.csv"]])
def test_a_zip_without_the_two_files_is_refused(tmp_path: Path, names: list[str]) -> None:
    path = tmp_path / "day.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(name, MESSAGES)
    with pytest.raises(LobsterError, match="should have one file"):
        list(read_day(path))


@pytest.mark.parametrize(
    ("messages", "books", "said"),
    [
        (MESSAGES + "34201,9,1,1,1,1\r\n", BOOKS + "1,1,1,1\r\n", r"row 3: '9' is no type"),
        (MESSAGES + "34201,1,1,1,1,0\r\n", BOOKS + "1,1,1,1\r\n", r"row 3: '0' is no direction"),
        (MESSAGES + "34201,1,1\r\n", BOOKS + "1,1,1,1\r\n", r"row 3: a message has six columns"),
        (MESSAGES + "34201,1,1,x,1,1\r\n", BOOKS + "1,1,1,1\r\n", r"row 3: invalid literal"),
        (MESSAGES + "34201,1,1,1,1,1\r\n", BOOKS + "1,1\r\n", r"row 3: a book row has four columns"),
        (MESSAGES, BOOKS + "1,1,1,1\r\n", r"row 3: zip"),
        (MESSAGES + "34201,1,1,1,1,1\r\n", BOOKS, r"row 3: zip"),
    ],
)
def test_nonsense_is_told_by_its_row(tmp_path: Path, messages: str, books: str, said: str) -> None:
    (tmp_path / "X_message_1.csv").write_text(messages)
    (tmp_path / "X_orderbook_1.csv").write_text(books)
    with pytest.raises(LobsterError, match=said):
        list(read_day(tmp_path / "X_message_1.csv"))
