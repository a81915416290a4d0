"""The rules of the tree, read from the source: which way imports flow, what is heavy, how long things may be."""

import ast
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src" / "subgrid"

FOUNDATION = ("errors", "disk", "netcdf", "schema", "physics")
ROOMS = (
    *("source", "statistics", "records", "representation", "model", "evaluation", "training", "prediction"),
    *("export", "coupling", "report"),
)
ORDER = (*FOUNDATION, *ROOMS, "recipe", "inspection", "publishing", "chain", "study", "cli")
"""Left to right: a room imports from itself and from what stands to its left, never from the right."""

LEARNING_ROOMS = ("representation", "model", "training", "prediction", "export", "coupling", "report")
TORCH = {"torch", "lightning", "lightning_fabric", "safetensors"}
EXTRAS = {"gcsfs", "s3fs", "huggingface_hub", "dask", "distributed", "mlflow", "wandb", "zarr"}
SLOW_TO_IMPORT = {"xarray", "netCDF4", "pyarrow", "pandas", "matplotlib"} | EXTRAS
"""To be imported inside the function that uses them, in every room."""

FORBIDDEN_NAMES = {"utils", "util", "common", "helpers", "helper", "base", "misc"}
WITHOUT_OWN_TEST = {
    "errors": "types without behaviour",
    "physics/constants": "numbers; the formulas that use them are tested",
}

MODULE_LINES, CLASS_LINES, CLASS_METHODS, BODY_LINES, ARGUMENTS = 300, 200, 12, 50, 6

Function = ast.FunctionDef | ast.AsyncFunctionDef


def modules() -> list[Path]:
    """Every module of the package, sorted."""
    return sorted(SOURCE.rglob("*.py"))


def name_of(path: Path) -> str:
    """``records/order`` for src/subgrid/records/order.py."""
    return path.relative_to(SOURCE).with_suffix("").as_posix()


def room_of(path: Path) -> str:
    """The room a module stands in; the package's own ``__init__`` is a room of its own."""
    return path.relative_to(SOURCE).with_suffix("").parts[0]


def imported(node: ast.AST, package: str) -> list[str]:
    """Absolute names that an import statement brings: ``subgrid.schema.grid.Grid`` for ``from ... import Grid``."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if not isinstance(node, ast.ImportFrom):
        return []
    parents = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
    start = ".".join([*parents, *([node.module] if node.module else [])])
    return [f"{start}.{alias.name}" for alias in node.names]


def at_import(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Statements that run when a module is imported: all but those inside functions and TYPE_CHECKING blocks."""
    for statement in body:
        if isinstance(statement, Function) or (
            isinstance(statement, ast.If) and "TYPE_CHECKING" in ast.dump(statement)
        ):
            continue
        yield statement
        for field in ("body", "orelse", "finalbody"):
            yield from at_import(getattr(statement, field, []))
        for handler in getattr(statement, "handlers", []):
            yield from at_import(handler.body)


def wrong_way(tree: ast.Module, room: str, package: str = "subgrid") -> list[str]:
    """Imports of a module in ``room`` that do not flow from left to right."""
    allowed = ORDER[: ORDER.index(room) + 1] if room in ORDER else ()
    found = []
    for node in ast.walk(tree):
        for name in imported(node, package):
            package_name, _, rest = name.partition(".")
            if package_name == "subgrid" and rest.split(".")[0] not in ("", "__version__", *allowed):
                found.append(name)
    return found


def heavy(tree: ast.Module, room: str) -> list[str]:
    """Libraries that a module of ``room`` imports where it may not."""
    top = {name.split(".")[0] for node in at_import(tree.body) for name in imported(node, "")}
    anywhere = {name.split(".")[0] for node in ast.walk(tree) for name in imported(node, "")}
    found = top & SLOW_TO_IMPORT
    if room not in LEARNING_ROOMS:
        found |= (anywhere if room in (*FOUNDATION, *ROOMS) else top) & TORCH
    return sorted(found)


def body_lines(function: Function) -> int:
    """Lines of a function's body without its docstring."""
    body = function.body[1:] if ast.get_docstring(function) is not None else function.body
    return body[-1].end_lineno - body[0].lineno + 1 if body else 0


def argument_count(function: Function) -> int:
    """Arguments of a function, self and cls not counted."""
    arguments = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
    return len([argument for argument in arguments if argument.arg not in ("self", "cls")])


def too_large(tree: ast.Module, lines: int, room: str) -> Iterator[str]:
    """What is longer than the house allows."""
    if lines > MODULE_LINES:
        yield f"{lines} lines, at most {MODULE_LINES}"
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            length = node.end_lineno - node.lineno + 1
            methods = sum(isinstance(item, Function) for item in node.body)
            if length > CLASS_LINES or methods > CLASS_METHODS:
                yield f"class {node.name}: {length} lines, {methods} methods; at most {CLASS_LINES}, {CLASS_METHODS}"
        if isinstance(node, Function):
            if (length := body_lines(node)) > BODY_LINES:
                yield f"{node.name}: a body of {length} lines, at most {BODY_LINES}"
            if room != "cli" and (count := argument_count(node)) > ARGUMENTS:
                yield f"{node.name}: {count} arguments, at most {ARGUMENTS}; use a frozen settings object"


def undocumented(tree: ast.Module) -> Iterator[str]:
    """The module itself, and its public functions and classes, where they lack a docstring."""
    if not ast.get_docstring(tree):
        yield "the module"
    for node in tree.body:
        if isinstance(node, (Function, ast.ClassDef)) and not node.name.startswith("_") and not ast.get_docstring(node):
            yield node.name


def prints(tree: ast.Module) -> Iterator[str]:
    """Calls of print."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print":
            yield f"print in line {node.lineno}"


def violations(rule: Callable[[ast.Module, Path], Iterable[str]]) -> list[str]:
    """What a rule finds in all modules, each with the module's name."""
    return [f"{name_of(path)}: {item}" for path in modules() for item in rule(ast.parse(path.read_text()), path)]


def package_of(path: Path) -> str:
    """``subgrid.records`` for src/subgrid/records/order.py."""
    return ".".join(("subgrid", *path.parent.relative_to(SOURCE).parts))


def none_of(found: list[str]) -> None:
    """Fails with one violation a line."""
    assert not found, "\n" + "\n".join(found)


def test_every_module_stands_in_a_known_room() -> None:
    none_of([name_of(path) for path in modules() if room_of(path) not in (*ORDER, "__init__", "__main__")])


def test_imports_flow_from_left_to_right() -> None:
    def rule(tree: ast.Module, path: Path) -> list[str]:
        return wrong_way(tree, room_of(path).replace("__main__", "cli"), package_of(path))

    none_of(violations(rule))


def test_heavy_libraries_are_imported_where_they_are_used() -> None:
    none_of(violations(lambda tree, path: heavy(tree, room_of(path))))


def test_modules_classes_and_functions_stay_small() -> None:
    none_of(violations(lambda tree, path: too_large(tree, len(path.read_text().splitlines()), room_of(path))))


def test_public_names_have_docstrings() -> None:
    none_of(violations(lambda tree, path: undocumented(tree)))


def test_no_module_is_a_drawer() -> None:
    none_of([name_of(path) for path in modules() if FORBIDDEN_NAMES & set(name_of(path).split("/"))])


def test_only_the_command_line_prints() -> None:
    none_of(violations(lambda tree, path: prints(tree) if room_of(path) != "cli" else []))


def test_every_module_has_its_own_test_file() -> None:
    untested = {*WITHOUT_OWN_TEST, "__main__"}
    names = [name_of(path) for path in modules() if path.name != "__init__.py" and name_of(path) not in untested]
    files = [Path("tests", name).with_name(f"test_{name.split('/')[-1]}.py") for name in names]
    none_of([f"{file} is missing" for file in files if not (ROOT / file).exists()])


def test_exceptions_from_the_mirror_still_exist() -> None:
    none_of([name for name in WITHOUT_OWN_TEST if not (SOURCE / f"{name}.py").exists()])


def run_python(code: str) -> str:
    """Standard output of a fresh interpreter; fails with its standard error."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_help_answers_without_heavy_libraries() -> None:
    code = """
import sys
from subgrid.cli import main
sys.argv = ["subgrid", "--help"]
try:
    main()
except SystemExit:
    pass
print(*sys.modules)
"""
    loaded = {name.split(".")[0] for name in run_python(code).splitlines()[-1].split()}
    assert loaded & (TORCH | SLOW_TO_IMPORT) == set()


IMPORT_ALL = """
import importlib, sys
for name in {blocked}:
    sys.modules[name] = None
for name in {names}:
    importlib.import_module(name)
"""


def dotted(path: Path) -> str:
    """``subgrid.records.order`` for src/subgrid/records/order.py."""
    return ".".join((package_of(path), path.stem)).removesuffix(".__init__")


def test_every_module_can_be_imported_without_the_extras() -> None:
    names = [dotted(path) for path in modules() if path.stem != "__main__"]
    run_python(IMPORT_ALL.format(blocked=sorted(EXTRAS), names=names))


def test_data_rooms_work_without_torch() -> None:
    """What reads and writes data sets is imported with torch blocked, as where it is not installed."""
    light = (*FOUNDATION, "source", "statistics", "records", "evaluation")
    names = [dotted(path) for path in modules() if room_of(path) in light]
    run_python(IMPORT_ALL.format(blocked=sorted(TORCH), names=names))


@pytest.mark.parametrize(
    ("code", "room", "expected"),
    [
        ("from subgrid.records.order import permutation", "source", ["subgrid.records.order.permutation"]),
        ("from subgrid import training", "model", ["subgrid.training"]),
        ("def late():\n    import subgrid.cli", "training", ["subgrid.cli"]),
        ("from ..model import mlp", "statistics", ["subgrid.model.mlp"]),
        ("from subgrid import __version__\nfrom subgrid.schema.grid import Grid", "records", []),
    ],
)
def test_the_guard_sees_an_import_that_flows_back(code: str, room: str, expected: list[str]) -> None:
    assert wrong_way(ast.parse(code), room, f"subgrid.{room}") == expected


@pytest.mark.parametrize(
    ("code", "room", "expected"),
    [
        ("import torch.nn as nn", "model", []),
        ("import torch.nn as nn", "records", ["torch"]),
        ("def late():\n    import torch", "evaluation", ["torch"]),
        ("def late():\n    import torch", "cli", []),
        ("try:\n    import netCDF4\nexcept ImportError:\n    pass", "source", ["netCDF4"]),
        ("def late():\n    import netCDF4", "source", []),
    ],
)
def test_the_guard_sees_a_heavy_import(code: str, room: str, expected: list[str]) -> None:
    assert heavy(ast.parse(code), room) == expected


def test_the_guard_sees_what_is_too_large() -> None:
    long_body = "def long():\n    '''Text.'''\n" + "    pass\n" * (BODY_LINES + 1)
    many = "def many(self, a, b, c, d, e, f, *, g): pass"
    drawer = "class Drawer:\n" + "".join(f"    def m{number}(self): pass\n" for number in range(CLASS_METHODS + 1))
    for code in (long_body, many, drawer):
        assert len(list(too_large(ast.parse(code), 1, "model"))) == 1
    assert list(too_large(ast.parse(many), 1, "cli")) == []
