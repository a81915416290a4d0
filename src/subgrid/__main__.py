"""``python -m subgrid`` is the command ``subgrid``."""

from subgrid.cli import main

if __name__ == "__main__":
    main()
