"""Run `edgesim`, also with `python -m edgesim`."""

import atexit
import gc

from edgesim.cli.interrupts import leave, note_interrupts

N_BETWEEN_COLLECTIONS = 10_000
"""Objects that are made before Python looks for garbage; with its default of 700, modules that are loaded are looked through again and again."""


def main() -> None:
    """Run the command line; an interrupt while it loads shows no traceback either."""
    note_interrupts()
    gc.set_threshold(N_BETWEEN_COLLECTIONS, *gc.get_threshold()[1:])
    atexit.register(gc.freeze)  # what a process leaves to the system at its end is not looked through first
    try:
        from edgesim.cli.main import main as run
    except KeyboardInterrupt:
        leave()
    run()


if __name__ == "__main__":
    main()
