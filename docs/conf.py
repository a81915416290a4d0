"""Sphinx settings; the pages of the API are written from the tree of modules, so that none can be forgotten."""

import re
from pathlib import Path

import subgrid

SOURCE = Path(subgrid.__file__).parent

project = "subgrid"
author = "The subgrid developers"
project_copyright = author
release = version = subgrid.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
exclude_patterns = ["_build"]
smartquotes = False  # options and formulas as they are typed
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

html_theme = "pydata_sphinx_theme"
html_title = "subgrid"
html_static_path = ["_static"]
html_theme_options = {
    "header_links_before_dropdown": 6,
    "navigation_with_keys": False,
    "show_toc_level": 2,
    "use_edit_page_button": False,
}

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_default_options = {"members": True, "show-inheritance": True}
napoleon_google_docstring = True
napoleon_numpy_docstring = False
# As a plain list: many classes have attributes of the same name, and links between those would be ambiguous.
napoleon_custom_sections = [("Attributes", "params_style")]
# A module that cannot be imported fails a test (tests/test_architecture.py); the documentation is built around it.
suppress_warnings = ["autodoc.import_object"]

_SECTION = re.compile(r"(Args|Arguments|Attributes|Example|Examples|Note|Raises|Returns|Yields):$")
_LITERAL = re.compile(r"(``.+?``|(?<![\w*])\*\w[\w -]*\w\*(?![\w*]))")  # and emphasis of whole words
_MARKUP = re.compile(r"([\\*|`])|_(?=\W|$)")


def _escaped(line: str) -> str:
    """The line with every character that reStructuredText would read as markup escaped, but literals and emphasis."""
    parts = _LITERAL.split(line)
    return "".join(
        part if index % 2 else _MARKUP.sub(lambda found: "\\" + found[0], part) for index, part in enumerate(parts)
    )


def plain_docstrings(app: object, what: str, name: str, obj: object, options: object, lines: list[str]) -> None:
    """Docstrings are plain text with formulas (``2**k``, ``|x|``): keep every sign, and the lines of a layout."""
    blocks = "\n".join(lines).split("\n\n")
    for number, block in enumerate(blocks):
        rows = block.split("\n")
        indents = {len(row) - len(row.lstrip()) for row in rows if row.strip()}
        laid_out = len(indents) > 1 and not _SECTION.match(rows[0].strip()) and not rows[0].lstrip().startswith("- ")
        section_body = number and blocks[number - 1].startswith("    ") and rows[0].startswith("    ")
        prefix = "| " if laid_out and not section_body else ""
        blocks[number] = "\n".join(prefix + _escaped(row) if row.strip() else row for row in rows)
    lines[:] = "\n\n".join(blocks).split("\n")


def write_api_pages(app: object) -> None:
    """One page a room into api/generated, one section a module; a package gives its docstring alone."""
    folder = Path(__file__).parent / "api" / "generated"
    folder.mkdir(parents=True, exist_ok=True)
    pages: dict[str, list[str]] = {}
    for path in sorted(SOURCE.rglob("*.py"), key=lambda path: path.with_name(path.name.replace("__init__", "")).parts):
        parts = path.relative_to(SOURCE).with_suffix("").parts
        name = ".".join(part for part in parts if part != "__init__")
        if not name:
            continue
        option = "\n   :no-members:" if parts[-1] == "__init__" else ""
        section = f"```{{eval-rst}}\n.. automodule:: subgrid.{name}{option}\n```\n"
        heading = f"# {name}\n" if name == parts[0] else f"## {name}\n"
        pages.setdefault(parts[0], []).append(f"{heading}\n{section}")
    for room, sections in pages.items():
        _write(folder / f"{room}.md", "\n".join(sections))
    for stale in set(folder.glob("*.md")) - {folder / f"{room}.md" for room in pages}:
        stale.unlink()


def _write(path: Path, text: str) -> None:
    if not path.exists() or path.read_text() != text:
        path.write_text(text)


def setup(app) -> None:  # type: ignore[no-untyped-def]
    app.connect("builder-inited", write_api_pages)
    app.connect("autodoc-process-docstring", plain_docstrings, priority=400)
