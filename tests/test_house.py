"""The code keeps the bounds of the house: `benchmarks/house.py` measures them."""

from pathlib import Path
from statistics import median

import pytest
from house import House, measure


@pytest.fixture(scope="module")
def house() -> House:
    return measure()


def test_a_package_has_at_most_twelve_files(house):
    assert {name: n for name, n in house.files.items() if n > 12} == {}


def test_files_and_functions_are_short(house):
    assert median(house.file_lines.values()) <= 150
    assert median(house.function_lines.values()) <= 8
    assert house.function_percentile(0.95) <= 25


def test_functions_branch_at_most_twenty_times(house):
    """But for these, which shall become fewer."""
    more = {name.split(":")[0] + "." + name.split(" ")[1] for name, found in house.complexity.items() if found > 20}
    assert more <= {
        "edgesim.report.draw.figures.tradeoff", "edgesim.scenario.graphs.files._joined", "edgesim.testing._check_batch",
        "edgesim.scenario.topology.references._links",
    }  # fmt: skip
    assert max(house.complexity.values()) <= 30


def test_no_modules_import_one_another(house):
    assert house.circles == []


def test_functions_circles_and_files_are_counted_as_told(tmp_path: Path):
    package = tmp_path / "edgesim"
    (package / "room").mkdir(parents=True)
    for name in ("", "room/"):
        (package / f"{name}__init__.py").write_text("")
    (package / "one.py").write_text(
        "from edgesim import two\n\n\ndef f(x):\n    '''Say it.'''\n    return x and not x or 1 if x else 2\n"
    )
    (package / "two.py").write_text("def g():\n    from edgesim.one import f\n    return [f(x) for x in () if x]\n")
    found = measure(package)
    assert found.files == {"edgesim": 3, "edgesim.room": 1}
    assert found.circles == [["edgesim.one", "edgesim.two"]]
    assert found.function_lines == {"edgesim.one:4 f": 2, "edgesim.two:1 g": 3}
    assert found.complexity == {"edgesim.one:4 f": 4, "edgesim.two:1 g": 3}
