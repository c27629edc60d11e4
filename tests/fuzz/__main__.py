"""`python -m tests.fuzz scenario --n 20000 --seed 1`: count what becomes of mutants, and keep those that fail."""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from pathlib import Path

from .harness import all_kinds, tally

PART = 500


def main() -> int:
    """Run one kind or all, and return 1 when a mutant failed."""
    kinds = all_kinds()
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("kinds", nargs="*", choices=[*kinds, []], help=f"by default all: {', '.join(kinds)}")
    parser.add_argument("--n", type=int, default=2_000, help="mutants of each kind")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="folder for the mutants that fail")
    given = parser.parse_args()
    n_failures = 0
    for name in given.kinds or kinds:
        began_s = time.monotonic()
        n_read = n_refused = 0
        causes: Counter[str] = Counter()
        for first in range(0, given.n, PART):
            found = tally(kinds[name], range(first, min(first + PART, given.n)), given.seed)
            n_read, n_refused = n_read + found.n_read, n_refused + found.n_refused
            for failure in found.failures:
                cause = failure.why.strip().splitlines()[-1][:300]
                causes[cause] += 1
                if causes[cause] == 1:
                    sys.stdout.write(f"{name} {failure.number}: {failure.why}\n")
                if given.keep:
                    given.keep.mkdir(parents=True, exist_ok=True)
                    (given.keep / f"{name}-{given.seed}-{failure.number}").write_bytes(failure.content)
        n_failures += causes.total()
        sys.stdout.write(
            f"{name}: {n_read} read, {n_refused} refused, {causes.total()} failed of {len(causes)} causes, "
            f"{time.monotonic() - began_s:.0f} s\n"
        )
        sys.stdout.flush()
    return 1 if n_failures else 0


if __name__ == "__main__":
    sys.exit(main())
