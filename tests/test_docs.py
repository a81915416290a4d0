"""What the documents say, against what the package does: versions, pins, links, commands, options, no paths."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

import subgrid

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = sorted(
    path for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")] if not {"_build", "generated"} & set(path.parts)
)
COMMANDS = ["build", "ensemble", "inspect", "predict", "run", "sample", "score", "stats", "train", "verify"]
COMMANDS += ["report", "study", "submit", "weights"]
COMMANDS += ["download", "merge"]
COMMANDS += ["extract", "pointer", "publish"]


def command_help(*arguments: str) -> str:
    """What ``subgrid ... --help`` prints, wide enough that no option is cut."""
    code = "import sys; from subgrid.cli import main; sys.argv[0] = 'subgrid'; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments, "--help"],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "COLUMNS": "200", "TERMINAL_WIDTH": "200", "NO_COLOR": "1"},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def options_of(text: str) -> set[str]:
    """Long options in a text."""
    return set(re.findall(r"(?<![\w-])--[a-z][a-z0-9-]*", text))


def documented_options() -> dict[str, set[str]]:
    """Options by command in docs/commands.md, from the section that lists them."""
    text = (ROOT / "docs" / "commands.md").read_text().split("## Options")[1].split("## Output")[0]
    parts = re.split(r"^`subgrid (\w+)`$", text, flags=re.MULTILINE)
    return {name: options_of(body) for name, body in zip(parts[1::2], parts[2::2], strict=True)}


def test_the_version_is_the_same_everywhere() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == subgrid.__version__
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["dynamic"] == ["version"]


def canonical(requirement: str) -> str:
    """A distribution's name without version or extras, as package indexes compare it."""
    return re.sub(r"[-_.]+", "-", re.split(r"[\[<>=]", requirement)[0]).lower()


def test_constraints_pin_every_requirement_exactly() -> None:
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    assert [line for line in lines if not re.fullmatch(r"[\w.-]+==[\w.]+", line)] == []
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *sum(project["optional-dependencies"].values(), [])]
    assert {canonical(item) for item in wanted} - {canonical(line) for line in lines} == {"subgrid"}


def test_every_relative_link_leads_somewhere() -> None:
    broken = []
    for path in DOCUMENTS:
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)|src=\"([^\"]+)\"", path.read_text()):
            link = "".join(target)
            if "://" not in link and not (path.parent / link).exists():
                broken.append(f"{path.relative_to(ROOT)}: {link}")
    assert not broken, "\n" + "\n".join(broken)


def test_documents_name_no_path_of_a_machine() -> None:
    others = [*ROOT.glob("recipes/**/*.yaml"), *(ROOT / name for name in ("Makefile", "pyproject.toml", ".ci/run"))]
    found = []
    for path in [*DOCUMENTS, *others]:
        paths = re.findall(r"(?<![\w./])/(?:home|root|opt|work|tmp|Users|mnt)/\S*", path.read_text())
        found += [f"{path.relative_to(ROOT)}: {name}" for name in paths]
    assert not found, "\n" + "\n".join(found)


def test_the_table_of_commands_is_the_command_line() -> None:
    table = re.findall(r"^\| `subgrid (\w+)", (ROOT / "docs" / "commands.md").read_text(), flags=re.MULTILINE)
    assert sorted(table) == sorted(COMMANDS)
    text = command_help()
    assert [name for name in COMMANDS if not re.search(rf"(?m)^\W*{name}\b", text)] == []


@pytest.mark.parametrize("command", COMMANDS)
def test_documented_options_are_those_of_the_command(command: str) -> None:
    assert options_of(command_help(command)) - {"--help"} == documented_options().get(command, set())


@pytest.mark.parametrize("code", [0, 1, 75, 143])
def test_the_script_for_slurm_submits_itself_again_for_75_alone(code: int, tmp_path: Path) -> None:
    """As it stands in the document, with commands in the place of srun and sbatch that note what they are given."""
    from subgrid.cli.terminal import seconds_of

    text = (ROOT / "docs" / "training-at-scale.md").read_text()
    [script] = re.findall(r"```bash\n(#!/bin/bash\n#SBATCH.*?)```", text, re.DOTALL)
    for name, ends in (("srun", code), ("sbatch", 0)):
        (tmp_path / name).write_text(f'#!/bin/sh\necho "{name} $*" >> "{tmp_path}/said"\nexit {ends}\n')
        (tmp_path / name).chmod(0o755)
    (tmp_path / "train.sbatch").write_text(script)
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run(["bash", "train.sbatch"], cwd=tmp_path, env=environment, timeout=30)
    started, *again = (tmp_path / "said").read_text().splitlines()
    assert (done.returncode, again) == ((0, ["sbatch train.sbatch"]) if code == 75 else (code, []))
    words = started.split()
    train = words[words.index("train") :]
    assert options_of(" ".join(train)) <= documented_options()["train"]
    [walltime] = re.findall(r"#SBATCH --time=(\S+)", script)
    assert 60 <= seconds_of(walltime) - seconds_of(train[train.index("--time-limit") + 1]) <= 1800


@pytest.mark.slow
def test_the_python_of_the_documents_runs(tmp_path: Path) -> None:
    code = "\n".join(re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "python.md").read_text(), re.DOTALL))
    shorter = code.replace("training.rows=20000", "training.rows=1280").replace("columns=96", "columns=24")
    assert shorter.count("1280") == shorter.count("columns=24") == 1
    (tmp_path / "recipes").symlink_to(ROOT / "recipes")
    done = subprocess.run([sys.executable, "-c", shorter], cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "(256, 556) (256, 368)" in done.stdout and "'r2_294': 0." in done.stdout
