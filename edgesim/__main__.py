"""Run `edgesim`, also with `python -m edgesim`."""

from edgesim.cli.interrupts import leave, note_interrupts


def main() -> None:
    """Run the command line; an interrupt while it loads shows no traceback either."""
    note_interrupts()
    try:
        from edgesim.cli.main import main as run
    except KeyboardInterrupt:
        leave()
    run()


if __name__ == "__main__":
    main()
