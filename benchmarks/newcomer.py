"""A newcomer's path, timed: from a clone to an own topology, an own figure and a second result that is compared.

    python benchmarks/newcomer.py [--keep FOLDER]

Clones this repository, and does there what README.md and docs/tutorial.md say and nothing else: the first command of the README, then
every command of the tutorial, in the order in which they stand. Scenarios of the tutorial are written to the file of their name. Prints how long
each step took, installation and first download of packages included, and fails when a command fails, when what a newcomer
wants did not come out, or when it takes longer than 15 minutes.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
LIMIT_S = 15 * 60
MADE = ("study-topology.png", "home-topology.png", "resilience.pdf", "home-budget.pdf", "results/home/report.html")
"""What there is in the end: an own topology, an own figure, a report; the comparison is on the terminal and a page of its own."""
DONE = (0, 1)
"""Exit code 1 says that a strategy of the default scenario does not fit its devices, which is part of the answer."""
_BLOCK = re.compile(r"```(console|yaml)\n(.*?)```", flags=re.DOTALL)


def commands(root: Path = ROOT) -> Iterator[str]:
    """Yield the command lines of README and tutorial, each a line for a shell; scenarios as commands that write them."""
    readme, tutorial = ((root / name).read_text(encoding="utf-8") for name in ("README.md", "docs/tutorial.md"))
    first = _BLOCK.search(readme)
    if first is None:
        raise SystemExit("README.md shows no command")
    yield first[2].splitlines()[0].partition("#")[0].strip()
    for kind, text in _BLOCK.findall(tutorial):
        if kind == "yaml":
            (name,) = re.findall(r"^name: (\S+)$", text, flags=re.MULTILINE)
            yield f"cat > {name}.yaml <<'END'\n{text}END"
        else:
            lines = (re.sub(r"\s+#.*", "", line).strip() for line in text.splitlines())
            yield from (line for line in lines if line and line != "make demo")


def main() -> None:
    """Walk the path and print the times."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keep", type=Path, help="an empty folder to work in, which is kept")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        sys.exit(walk((chosen.keep or Path(temporary)) / "edgesim"))


def walk(clone: Path) -> int:
    """Clone to a folder and do there what the documents say; return the exit code."""
    shell = subprocess.Popen(
        ["bash"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    begin = time.monotonic()
    for command in (f"git clone -q {ROOT} {clone} && cd {clone}", *commands()):
        took_s, code, said = _do(shell, command)
        print(f"{took_s:7.1f} s  {command.splitlines()[0]}", flush=True)
        if code not in DONE:
            print(said)
            return 1
    whole_s = time.monotonic() - begin
    absent = [name for name in MADE if not (clone / name).is_file()]
    print(f"{whole_s:7.1f} s  in all, of {LIMIT_S} s; missing: {', '.join(absent) or 'nothing'}")
    return int(bool(absent) or whole_s > LIMIT_S)


def _do(shell: subprocess.Popen[str], command: str) -> tuple[float, int, str]:
    """Do a command in the shell; return seconds, exit code and what it said."""
    begin = time.monotonic()
    if shell.stdin is None or shell.stdout is None:
        raise SystemExit("no shell")
    shell.stdin.write(f"{command}\ncode=$?; echo; echo '<done>' $code\n")
    shell.stdin.flush()
    said = ""
    for line in shell.stdout:
        if line.startswith("<done> "):
            return time.monotonic() - begin, int(line.split()[1]), said
        said += line
    raise SystemExit(f"the shell ended in {command!r}:\n{said}")


if __name__ == "__main__":
    main()
