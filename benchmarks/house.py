"""Measures how the code is built: files per room, lengths of files and functions, complexity, import circles.

    python benchmarks/house.py [FOLDER]

FOLDER is the package, by default `edgesim` here; `tests/test_house.py` asserts what holds. Lengths are in lines; those of a
function count neither its docstring nor its decorators. The cyclomatic complexity is 1 + branches, loops, handlers, conditions of
comprehensions and operands of `and` and `or` beyond the first (T. J. McCabe, A complexity measure, 1976, as radon counts it); what
is defined inside a function counts for it. Imports are counted wherever they stand: in functions and for types, too.
"""

from __future__ import annotations

import ast
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate, starmap
from pathlib import Path
from statistics import median

import networkx as nx

PACKAGE = Path(__file__).parents[1] / "edgesim"
_BRANCHES = (ast.If, ast.IfExp, ast.For, ast.AsyncFor, ast.While, ast.ExceptHandler, ast.Assert, ast.comprehension)
Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True)
class House:
    """What is measured.

    Parameters
    ----------
    files : by package: number of Python files.
    file_lines : by file.
    function_lines, complexity : by function.
    circles : modules that import one another, directly or by way of others; and so, by what is in them, packages and modules
        side by side in a package.
    """

    files: dict[str, int]
    file_lines: dict[str, int]
    function_lines: dict[str, int]
    complexity: dict[str, int]
    circles: list[list[str]]

    def function_percentile(self, share: float) -> int:
        """Return the length that this share of the functions does not exceed."""
        lengths = sorted(self.function_lines.values())
        return lengths[min(len(lengths) - 1, int(share * len(lengths)))]


def measure(package: Path = PACKAGE) -> House:
    """Measure a package with all packages in it."""
    trees = {path: ast.parse(path.read_text(encoding="utf-8")) for path in sorted(package.rglob("*.py"))}
    modules = {_module(path, package): tree for path, tree in trees.items()}
    functions = {
        f"{module}:{node.lineno} {node.name}": node for module, tree in modules.items() for node in _functions(tree)
    }
    return House(
        files=dict(Counter(_module(path.parent, package) for path in trees)),
        file_lines={_module(path, package): len(path.read_text(encoding="utf-8").splitlines()) for path in trees},
        function_lines={name: _length(node) for name, node in functions.items()},
        complexity={name: _complexity(node) for name, node in functions.items()},
        circles=_circles(modules),
    )


def _module(path: Path, package: Path) -> str:
    parts = path.relative_to(package.parent).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


def _functions(tree: ast.AST) -> Iterator[Function]:
    return (node for node in ast.walk(tree) if isinstance(node, Function))


def _length(function: Function) -> int:
    """Return the lines of a function from `def` to its end, without the docstring."""
    first = function.body[0]
    doc = first.end_lineno - first.lineno + 1 if ast.get_docstring(function) is not None and first.end_lineno else 0
    return (function.end_lineno or function.lineno) - function.lineno + 1 - doc


def _complexity(function: Function) -> int:
    found = 1
    for node in ast.walk(function):
        found += isinstance(node, _BRANCHES)
        if isinstance(node, ast.BoolOp):
            found += len(node.values) - 1
        elif isinstance(node, ast.comprehension):
            found += len(node.ifs)
        elif isinstance(node, ast.Match):
            found += len(node.cases) - 1
    return found


def _circles(modules: dict[str, ast.Module]) -> list[list[str]]:
    imports = [(name, other) for name, tree in modules.items() for other in _imported(tree, modules) if other != name]
    graph = nx.DiGraph([*imports, *(pair for pair in starmap(_rooms, imports) if pair)])
    return sorted(sorted(circle) for circle in nx.strongly_connected_components(graph) if len(circle) > 1)


def _rooms(name: str, other: str) -> tuple[str, str] | None:
    """Return the two, side by side in a package, in which two modules are; None where one is in the package that holds the other.

    >>> _rooms("a.b.c", "a.d.e.f")
    ('a.b', 'a.d')
    """
    pairs = list(
        zip(accumulate(name.split("."), "{}.{}".format), accumulate(other.split("."), "{}.{}".format), strict=False)
    )
    return next(((one, two) for one, two in pairs if one != two), None)


def _imported(tree: ast.Module, modules: dict[str, ast.Module]) -> Iterator[str]:
    """Yield the modules of the package that a module imports: absolutely, since relative imports are not allowed."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in modules)
        elif isinstance(node, ast.ImportFrom) and node.module in modules:
            for alias in node.names:
                name = f"{node.module}.{alias.name}"
                yield name if name in modules else node.module


def main() -> None:
    """Print what is measured, with the largest of each kind."""
    house = measure(Path(sys.argv[1]) if len(sys.argv) > 1 else PACKAGE)
    print(f"files {len(house.file_lines)}, functions {len(house.function_lines)}")
    print(f"files per package: at most {_largest(house.files)}")
    print(f"lines per file: median {median(house.file_lines.values()):g}, at most {_largest(house.file_lines)}")
    print(
        f"lines per function: median {median(house.function_lines.values()):g}, 95th percentile "
        f"{house.function_percentile(0.95)}, at most {_largest(house.function_lines)}"
    )
    print(f"cyclomatic complexity: at most {_largest(house.complexity)}")
    print(f"import circles: {len(house.circles)}")
    for circle in house.circles:
        print("   ", ", ".join(circle))


def _largest(numbers: dict[str, int], n: int = 5) -> str:
    first = sorted(numbers.items(), key=lambda pair: -pair[1])[:n]
    return f"{first[0][1]} ({', '.join(f'{name} {number}' for name, number in first)})"


if __name__ == "__main__":
    main()
