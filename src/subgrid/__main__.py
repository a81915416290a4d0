"""The way into the command ``subgrid``, also as ``python -m subgrid``."""

import sys


def main() -> None:
    """Run the command line; a Ctrl-C that comes while it is still being read in ends it as quietly as any other."""
    try:
        from subgrid.cli import main as run
    except KeyboardInterrupt:
        sys.exit(130)
    run()


if __name__ == "__main__":
    main()
