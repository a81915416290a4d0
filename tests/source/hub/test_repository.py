"""The real huggingface_hub client against the hub on loopback: commit, listing in pages, tokens, refusals."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from subgrid.errors import InputError, MissingExtraError, SettingsError, SubgridError
from subgrid.source.hub import session
from subgrid.source.hub.pace import Patience
from subgrid.source.hub.repository import LOW_RESOLUTION, Repository

QUICK = Patience(attempts=3, first=0.01, longest=0.05, silence=2.0)


def repository(name: str = LOW_RESOLUTION, **settings: Any) -> Repository:
    return Repository(name, patience=QUICK, **settings)


def test_the_hub_on_loopback_speaks_to_the_library_s_own_download(hub: Any, tmp_path: Path) -> None:
    from huggingface_hub import hf_hub_download

    hub.small.add("README.md")
    for name in ("train/0001-02/E3SM-MMF.mli.0001-02-01-00000.nc", "README.md"):
        path = hf_hub_download(LOW_RESOLUTION, name, repo_type="dataset", local_dir=tmp_path, endpoint=hub.url)
        assert Path(path).read_bytes() == hub.files[name]


def test_the_commit_is_asked_for_without_the_list_of_all_files(hub: Any) -> None:
    assert repository().commit() == hub.commit
    assert [one.path.split("?")[1] for one in hub.asked] == ["expand=sha"]


def test_a_listing_has_all_pages_with_sizes_and_digests(hub: Any) -> None:
    from hashlib import sha256

    hub.page = 3
    listed = repository().files("train/0001-02", hub.commit)
    inside = {name: content for name, content in hub.files.items() if name.startswith("train/0001-02/")}
    assert {file.name: (file.size, file.digest) for file in listed} == {
        name: (len(content), f"sha256:{sha256(content).hexdigest()}") for name, content in inside.items()
    }
    assert len(hub.requests("hub", "/tree/")) == -(-len(inside) // 3)


def test_a_file_that_git_keeps_has_git_s_own_digest(hub: Any, tmp_path: Path) -> None:
    hub.small.add("README.md")
    (tmp_path / "README.md").write_bytes(hub.files["README.md"])
    command = ["git", "hash-object", "README.md"]
    expected = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout.strip()
    (found,) = [file for file in repository().files("", hub.commit) if file.name == "README.md"]
    assert found.digest == f"git:{expected}"


def test_the_root_has_files_and_no_folders_and_an_absent_folder_has_none(hub: Any) -> None:
    assert {file.name for file in repository().files("", hub.commit)} == {"README.md", "ClimSim_low-res_grid-info.nc"}
    assert repository().files("train/0099-01", hub.commit) == []


def test_a_listing_that_breaks_off_is_not_a_short_one(hub: Any) -> None:
    module = sys.modules["hub_server"]
    hub.page = 5
    hub.faults.append(module.Fault("cursor=10", status=404, headers={"X-Error-Code": "EntryNotFound"}, at="hub"))
    with pytest.raises(SubgridError, match="does not list all of train/0001-02"):
        repository().files("train/0001-02", hub.commit)


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_busy_hub_is_asked_again(hub: Any, status: int) -> None:
    hub.faults.append(sys.modules["hub_server"].Fault("/api/", status=status, times=2, at="hub"))
    assert repository().commit() == hub.commit
    assert len(hub.asked) == 3


def test_pages_of_a_listing_are_asked_for_again(hub: Any) -> None:
    fault = sys.modules["hub_server"].Fault("/tree/", status=429, headers={"Retry-After": "0"}, at="hub")
    hub.faults.append(fault)
    assert len(repository().files("train/0001-02", hub.commit)) == 20


def test_a_silent_hub_is_asked_again(hub: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "SILENCE", 0.5)
    hub.faults += [sys.modules["hub_server"].Fault(path, pause=5.0, at="hub") for path in ("/tree/", "revision|expand")]
    quick = Repository(LOW_RESOLUTION, patience=Patience(attempts=3, first=0.01))
    assert len(quick.files("train/0001-02", hub.commit)) == 20
    assert quick.commit() == hub.commit
    assert len(hub.asked) == 4


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda hub: repository("LEAP/nothing").commit(), "no such data set repository.*status 404.*HF_TOKEN"),
        (lambda hub: repository().files("train/0001-02", "f" * 40), "does not have the commit of the plan"),
        (lambda hub: repository(endpoint="http://127.0.0.1:9").commit(), "cannot be reached.*HF_ENDPOINT"),
    ],
)
def test_refusals_say_what_to_do(hub: Any, ask: Callable[[Any], object], message: str) -> None:
    with pytest.raises(SubgridError, match=message):
        ask(hub)


def test_a_hub_that_stays_broken_is_given_up(hub: Any) -> None:
    hub.faults.append(sys.modules["hub_server"].Fault("/api/", status=502, times=99, at="hub"))
    with pytest.raises(SubgridError, match="status 502; try again later"):
        repository().commit()
    assert len(hub.asked) == QUICK.attempts


def test_a_wait_longer_than_our_patience_ends_at_once(hub: Any) -> None:
    fault = sys.modules["hub_server"].Fault("/api/", status=429, headers={"Retry-After": "86400"}, at="hub")
    hub.faults.append(fault)
    with pytest.raises(SubgridError, match="status 429"):
        repository().commit()


def test_a_private_repository_wants_the_token(hub: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.token = "hf_" + "secret" * 5
    with pytest.raises(InputError, match="does not open it to you"):
        repository().commit()
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    with pytest.raises(InputError, match="status 401") as refused:
        repository().commit()
    assert "hf_wrong" not in str(refused.value)
    monkeypatch.setenv("HF_TOKEN", hub.token)
    assert repository().commit() == hub.commit
    assert hub.token not in repr(repository())


def test_a_stored_login_is_used(hub: Any, tmp_path: Path) -> None:
    hub.token = "hf_" + "stored" * 5
    (tmp_path / "token").write_text(hub.token)
    code = "from subgrid.source.hub.repository import Repository; print(Repository('LEAP/ClimSim_low-res').commit())"
    environment = {"HF_HOME": str(tmp_path), "HF_ENDPOINT": hub.url, "PYTHONPATH": ":".join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == hub.commit, done.stderr


@pytest.mark.parametrize("name", ["a/b/c", "", "../x", "LEAP/ClimSim low-res"])
def test_names_that_cannot_be_repositories_are_refused(name: str) -> None:
    with pytest.raises(SettingsError, match="expected a repository like LEAP/ClimSim_low-res"):
        repository(name)


def test_without_the_library_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "huggingface_hub"]:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingExtraError, match=r"pip install 'subgrid\[hub\]'"):
        repository()
