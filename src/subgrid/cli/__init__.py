"""The command ``subgrid``: what users type, what they see, how it ends.

Results go to standard output, progress and errors to standard error. An error is plain lines. Exit codes: 0 done,
1 refused or failed, 2 wrong usage, 75 to be called again, 130 Ctrl-C, 143 SIGTERM. Libraries are imported inside the
commands that use them, so that ``subgrid --help`` answers at once.
"""

import os
import sys

import typer
from typer.exceptions import TyperException

from subgrid import __version__
from subgrid.cli import combining, data, judging, kaggle, learning, moving, sharing, study, terminal
from subgrid.errors import SubgridError, UsageError
from subgrid.source.urls import without_secrets

app = typer.Typer(
    name="subgrid",
    help="Emulators of sub-grid atmospheric physics: raw ClimSim steps -> data set -> network -> score.",
    epilog="Start with: subgrid run recipes/quickstart.yaml",
    no_args_is_help=True,
    add_completion=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
data.register(app)
learning.register(app)
judging.register(app)
combining.register(app)
kaggle.register(app)
study.register(app)
moving.register(app)
sharing.register(app)


def _version(asked: bool) -> None:
    if asked:
        print(f"subgrid {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Print the version."),
) -> None:
    """Options of the command itself."""


def main() -> None:
    """Run the command line and exit with its code."""
    # OpenMP's idle threads spin by default: on a machine that does anything else, training then all but stands still.
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")
    sys.exit(_run())


def _run() -> int:
    code = _answer()
    if code in _ENDED and terminal.speaks():
        terminal.say(f"{_ENDED[code]}; what is finished is kept: run the same command again")
    return code


_ENDED = {130: "interrupted", 143: "terminated"}


def _answer() -> int:
    try:
        return int(app(standalone_mode=False) or 0)  # typer itself gives 130 for Ctrl-C inside a command
    except TyperException as error:
        error.message = without_secrets(error.message)
        error.show()  # type: ignore[attr-defined]  # every one that reaches a command line has it
        return error.exit_code
    except typer.Exit as end:
        return end.exit_code
    except (KeyboardInterrupt, typer.Abort):
        return 130
    except SystemExit as end:  # SIGTERM, or another process of this run has told why
        return int(end.code or 0)
    except SubgridError as error:
        terminal.fail(str(error))
        return 2 if isinstance(error, UsageError) else 1
    except BrokenPipeError:
        sys.stderr.close()  # whoever read our output has left; nothing to tell
        return 1
    except OSError as error:
        terminal.fail(f"{error.filename}: {error.strerror}" if error.filename and error.strerror else str(error))
        return 1
    except MemoryError as error:
        terminal.fail(str(error) or "there is not enough memory")
        return 1
