"""Scratch space of this process stays, that of a killed one goes."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from subgrid.errors import SubgridError
from subgrid.records.scratch import own_folder, refuse_small, sweep

CHILD = """
import pathlib, sys, time
from subgrid.records.scratch import own_folder
(own_folder(pathlib.Path(sys.argv[1])) / "file").write_bytes(b"x")
print("ready", flush=True)
time.sleep(60 if sys.argv[2] == "stay" else 0)
"""


def child(parent: Path, way: str) -> "subprocess.Popen[str]":
    process = subprocess.Popen([sys.executable, "-c", CHILD, str(parent), way], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    return process


def test_folders_of_killed_processes_are_swept(tmp_path: Path) -> None:
    ours = own_folder(tmp_path)
    assert own_folder(tmp_path) == ours
    other = child(tmp_path, "stay")
    sweep(tmp_path)
    assert len(list(tmp_path.iterdir())) == 2, "both processes live"
    other.kill()
    other.wait()
    assert len(list(tmp_path.iterdir())) == 2
    sweep(tmp_path)
    assert list(tmp_path.iterdir()) == [ours]


def test_a_new_process_sweeps_first(tmp_path: Path) -> None:
    other = child(tmp_path, "stay")
    other.kill()
    other.wait()
    ours = own_folder(tmp_path)
    assert list(tmp_path.iterdir()) == [ours]


def test_a_process_that_ends_takes_its_folder_with_it(tmp_path: Path) -> None:
    child(tmp_path, "go").wait()
    assert list(tmp_path.iterdir()) == []


def test_a_scratch_folder_that_is_too_small_is_refused_with_numbers(tmp_path: Path) -> None:
    free = shutil.disk_usage(tmp_path).free
    refuse_small(tmp_path / "new" / "folder", free // 2)
    with pytest.raises(SubgridError, match=rf"new: .* need {2 * free:,} bytes of scratch space, [\d,]+ are"):
        refuse_small(tmp_path / "new", 2 * free)
    assert not (tmp_path / "new").exists()


STORM = """
import pathlib, sys, threading
from subgrid.records.scratch import own_folder
parent, found = pathlib.Path(sys.argv[1]), set()
print("ready", flush=True)
sys.stdin.readline()
def ask():
    for number in range(40):
        folder = own_folder(parent / str(number))
        (folder / threading.current_thread().name).write_bytes(b"x")
        found.add(folder)
threads = [threading.Thread(target=ask) for _ in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(len(found), sum(len(list(folder.iterdir())) for folder in found))
"""


def test_processes_and_threads_that_begin_together_have_a_folder_each(tmp_path: Path) -> None:
    """Four processes of four threads sweep and make 40 times: one folder a process, which holds its threads' files."""
    command = [sys.executable, "-c", STORM, str(tmp_path)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    processes = [subprocess.Popen(command, **pipes) for _ in range(4)]
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    assert [process.communicate(timeout=60) for process in processes] == 4 * [("40 160\n", "")]
