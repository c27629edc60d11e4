"""Run `edgesim` with `python -m edgesim`."""

from edgesim.cli.main import main

if __name__ == "__main__":
    main()
