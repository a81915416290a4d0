"""What is told of a URL and what is kept holds no user, no password and no query; all else stays as it is."""

from pathlib import Path

import pytest

from subgrid.errors import SettingsError
from subgrid.source.urls import is_remote, local_path, refuse_secrets, shown, texts, without_secrets

SECRET = [
    ("https://me:hunter2@host/raw", "https://host/raw"),
    ("https://host/raw?token=hunter2", "https://host/raw"),
    ("s3://hunter2@bucket/raw", "s3://bucket/raw"),
    ("http://me:hun@ter2@host:80/raw?x=hunter2", "http://host:80/raw"),
    ("http://me:hun?ter2@host/raw", "http://host/raw"),
    ("hf://datasets/me?token=hunter2/data", "hf://datasets/me"),
    ("simplecache::https://me:hunter2@host/raw", "simplecache::https://host/raw"),
    ("https://host/raw?-sig=hunter2", "https://host/raw"),
    ("https://host/raw?/hunter2", "https://host/raw"),
]
PLAIN = [
    "gs://bucket/a@b",
    "hf://datasets/me/data@main/x",
    "s3://bucket/raw",
    "/home/me@work/what?",
    "raw",
    "file:///a@b?c",
]


@pytest.mark.parametrize(("url", "expected"), SECRET)
def test_secrets_are_neither_shown_nor_kept(url: str, expected: str) -> None:
    assert shown(url) == expected
    assert without_secrets(f"'{url}': no such place (see {url})").count(expected) == 2
    with pytest.raises(SettingsError, match=r"recipe\.yaml: location: a recipe keeps no user, password or") as error:
        refuse_secrets(url, "a recipe", "recipe.yaml: location")
    for text in (shown(url), without_secrets(f"'{url}': no such place ({url})"), str(error.value)):
        assert not {"hunter2", "ter2", "hun@"} & {part for part in ("hunter2", "ter2", "hun@") if part in text}
    assert expected in str(error.value) and "give secrets to fsspec" in str(error.value)


@pytest.mark.parametrize("url", PLAIN)
def test_all_else_stays(url: str) -> None:
    assert shown(url) == url
    refuse_secrets(url, "a recipe")


def test_a_message_of_a_library_loses_nothing_else() -> None:
    told = "Cannot connect to host h:80 at https://h/a?b=c (did you mean gs://x/y?) for me@work, 50 %"
    assert (
        without_secrets(told) == "Cannot connect to host h:80 at https://h/a (did you mean gs://x/y?) for me@work, 50 %"
    )
    pool = "HTTPSConnectionPool(host='h', port=443): Max retries exceeded with url: /a/b?-sig=hunter2 (Caused by"
    assert without_secrets(pool) == pool.replace("?-sig=hunter2", "")
    assert (
        without_secrets("is it there? see https://h/a?, or /what?x=1") == "is it there? see https://h/a?, or /what?x=1"
    )
    assert without_secrets("http:/me:hunter2@host/x is no folder") == "http:/host/x is no folder"  # as pathlib has it


def test_texts_of_plain_values() -> None:
    tree = {"a": {"b": ["c", {"d": "e"}]}, "f": 1, "g": None}
    assert {name: text for name, text in texts(tree) if text not in ("a", "b", "d", "f", "g")} == {
        "a.b.0": "c",
        "a.b.1.d": "e",
    }
    assert "a" in {text for _, text in texts(tree)}


def test_a_file_url_is_a_path() -> None:
    for place in ("/a/b", "file:///a/b", Path("/a/b")):
        assert local_path(place) == Path("/a/b")
    assert local_path("a b") == Path("a b") and local_path("file://~/a") == Path.home() / "a" == local_path("~/a")


def test_what_is_remote() -> None:
    assert is_remote("gs://b/x") and not is_remote("file:///x") and not is_remote("x")
