"""Results that were damaged, mixed up or edited: the same bytes at the end, or a finding; never another number in silence."""

from __future__ import annotations

import json
import random
import shutil
import warnings
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet
from test_study_run import BYTES, _toys, scenario  # noqa: F401 - a fixture
from toy_study import run

import edgesim as es
from edgesim.errors import EdgesimWarning, ResultError
from edgesim.study.folder.contents import changed
from edgesim.study.folder.manifest_file import MANIFEST, read_manifest, write_manifest
from edgesim.study.folder.parts import identity_in, parquet_of
from edgesim.study.folder.seal import OPEN_SEAL, is_whole, sealed
from edgesim.study.folder.store import Result

PART = "trials/part-00001-000000000.parquet"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A finished study."""
    return run(scenario(), workers=1, output=tmp_path / "r").folder


def bytes_of(folder: Path) -> dict[str, bytes]:
    """What must be the same."""
    return {name: (folder / name).read_bytes() for name in BYTES}


def flipped(content: bytes, bit: int) -> bytes:
    """A content with one other bit."""
    changed_content = bytearray(content)
    changed_content[bit // 8] ^= 1 << bit % 8
    return bytes(changed_content)


def mended(folder: Path, message: str) -> None:
    """Run the study again, which says what it mends."""
    with pytest.warns(EdgesimWarning, match=message):
        run(scenario(), workers=1, output=folder)
    assert not changed(folder)


def test_a_seal_shows_every_other_bit() -> None:
    """Whatever stands before it, also what looks like one."""
    content = sealed(f"a {OPEN_SEAL} in a question, {OPEN_SEAL} at the end".encode())
    assert is_whole(content)
    assert not any(is_whole(flipped(content, bit)) for bit in range(8 * len(content)))
    assert not is_whole(b"")
    assert not is_whole(b"never sealed")


def test_any_flipped_bit_of_a_part_or_a_manifest_shows(folder: Path) -> None:
    """Also when the study has not ended: no part, and no manifest, with another bit is taken."""
    part, manifest = (folder / PART).read_bytes(), (folder / MANIFEST).read_bytes()
    assert is_whole(part)
    assert not any(is_whole(flipped(part, bit)) for bit in range(8 * len(part)))
    for bit in range(0, 8 * len(manifest), 29):
        (folder / MANIFEST).write_bytes(flipped(manifest, bit))
        with pytest.raises(ResultError, match=MANIFEST):
            read_manifest(folder)


def test_a_flipped_bit_is_mended_with_the_same_bytes(folder: Path) -> None:
    """Of a part, a manifest or a table, of a study that has ended or not."""
    rng = random.Random(1)  # noqa: S311
    before = bytes_of(folder)
    about = read_manifest(folder)
    for name in (PART, PART.replace("trials", "outcomes"), MANIFEST, "summary.csv", "timeline.json"):
        for status in ("complete", "unfinished"):
            write_manifest(folder, {**about, "status": status})
            content = (folder / name).read_bytes()
            (folder / name).write_bytes(flipped(content, rng.randrange(8 * len(content))))
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                run(scenario(), workers=1, output=folder)
            is_made_anyway = status == "unfinished" and name in {"summary.csv", "timeline.json"}
            assert [name in str(one.message) for one in caught] == ([] if is_made_anyway else [True])
            assert bytes_of(folder) == before
            about = read_manifest(folder)


@pytest.mark.parametrize("status", ["complete", "unfinished"])
def test_a_part_of_another_case_is_set_aside(folder: Path, status: str) -> None:
    """It has as many rows and is whole, but says of which case it is."""
    before = bytes_of(folder)
    shutil.copy(folder / PART, folder / PART.replace("00001", "00002"))
    if status == "complete":
        with pytest.raises(ResultError, match=r"part-00002-000000000.parquet: it was changed after the study"):
            Result(folder).frame()
        mended(folder, r"part-00002-000000000.parquet: it was changed after the study.* set aside as .*damaged")
    else:
        write_manifest(folder, {**read_manifest(folder), "status": "unfinished"})
        mended(folder, r"it is of other trials \(case 1 in place of 2, point 'n_lost = 1' in place of 'n_lost = 2'\)")
    assert bytes_of(folder) == before
    assert (folder / "damaged" / PART.replace("00001", "00002")).read_bytes() == before[PART]


def test_a_part_of_another_study_is_set_aside(folder: Path, tmp_path: Path) -> None:
    """The same case of another seed."""
    before = bytes_of(folder)
    other = run(scenario(), workers=1, output=tmp_path / "other", seed=2).folder
    write_manifest(folder, {**read_manifest(folder), "status": "unfinished"})
    shutil.copy(other / PART, folder / PART)
    mended(folder, "it is of other trials .study '[0-9a-f]{64}' in place of ")
    assert bytes_of(folder) == before


def test_what_was_changed_is_said_when_it_is_read(folder: Path) -> None:
    """All at once, with the command that mends it; figures may be drawn again."""
    table = (folder / "summary.csv").read_bytes()
    (folder / "summary.csv").write_bytes(table.replace(b"accuracy", b"Accuracy"))
    (folder / "differences.csv").unlink()
    (folder / "tradeoff.png").write_bytes(b"mine")
    for read in (es.Result, lambda path: Result(path).check()):
        with pytest.raises(
            ResultError, match=r"differences.csv: it is missing; .*summary.csv: it was changed"
        ) as error:
            read(folder)
        assert "make them again with: edgesim run" in str(error.value)
    assert len(Result(folder).frame()) == 600
    mended(folder, "summary.csv")
    assert (folder / "summary.csv").read_bytes() == table
    assert len(es.Result(folder).summary()) == 40


def test_trials_that_are_missing_strange_or_damaged_are_not_read(folder: Path) -> None:
    """A table of fewer or more trials would be wrong in silence, also of a study that has not ended."""
    content = (folder / PART).read_bytes()
    (folder / PART).unlink()
    with pytest.raises(ResultError, match=f"{PART}: it is missing"):
        es.Result(folder)
    with pytest.raises(ResultError, match=f"{PART}: it is missing"):
        Result(folder).dataset()
    (folder / PART).write_bytes(content)
    (folder / "trials" / "copy.parquet").write_bytes(content)
    with pytest.raises(ResultError, match=r"trials/copy.parquet: it is not of this study"):
        es.Result(folder).frame()
    mended(folder, "trials/copy.parquet: it is not of this study; it is set aside")
    assert not (folder / "trials" / "copy.parquet").exists()
    write_manifest(folder, {**read_manifest(folder), "status": "unfinished"})
    assert len(es.Result(folder).frame()) == 600
    (folder / PART).write_bytes(flipped(content, 4000))
    with pytest.raises(ResultError, match=f"{PART}: it is damaged"):
        es.Result(folder).frame()


def test_a_folder_whose_manifest_is_damaged_is_no_free_place(folder: Path) -> None:
    """Parts of another study are never mixed up with this one's, and nothing is removed."""
    (folder / MANIFEST).write_text("{")
    before = bytes_of(folder)
    for fresh in (False, True):
        with pytest.raises(ResultError, match="no part in it is known to be of this scenario: remove it or choose"):
            run(scenario(), workers=1, output=folder, seed=2, fresh=fresh)
    assert bytes_of(folder) == before
    run(scenario(), workers=1, output=folder, fresh=True)
    assert bytes_of(folder) == before


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seed": "one"}, "seed: Input should be a valid integer"),
        ({"factors": 3}, "factors: Input should be a valid list"),
        ({"status": []}, r"status \[\] is none of unfinished, complete, emptied"),
        ({"engines": [{"strategy": 1}]}, "engines.0.strategy: Input should be a valid string; engines.0.engine: Field required"),
        ({"intact": None}, "intact: Input should be a valid list"),
        ({"files": [{"name": "../x", "size_byte": 1, "sha256": ""}]}, "files.0.name: .*outside of the result folder"),
        ({"files": [{"name": "x", "size_byte": 1.5}]}, "files.0.size_byte: .*; files.0.sha256: Field required"),
        ({"question": {}, "versions": []}, "question: .*; versions: "),
    ],
)  # fmt: skip
def test_wrong_types_are_findings(folder: Path, change: dict[str, Any], message: str) -> None:
    """All of them, though the seal is right."""
    write_manifest(folder, read_manifest(folder) | change)
    with pytest.raises(ResultError, match=message):
        es.Result(folder)


def test_an_older_format_is_refused(folder: Path) -> None:
    """Its parts cannot be known to be whole."""
    about = json.loads((folder / MANIFEST).read_text())
    (folder / MANIFEST).write_text(json.dumps(about | {"format": 2}))
    with pytest.raises(ResultError, match="is of format 2, this edgesim reads format 3; remove the folder and run"):
        es.Result(folder)


def test_parts_have_the_columns_of_before(folder: Path) -> None:
    """Checksum and identity stand in the metadata, so that other programs and exports see the table only."""
    data = Result(folder).dataset()
    assert data.schema.metadata is None
    assert data.schema.names[:4] == ["n_lost", "strategy", "replication", "weight"]


def test_whole_numbers_in_a_part_are_numbers(folder: Path) -> None:
    """Earlier versions wrote the probability of what is certain as a whole number."""
    path = min((folder / "outcomes").glob("*.parquet"))
    table, before = parquet.read_table(path), Result(folder).frame("outcomes")
    place = table.schema.get_field_index("probability")
    older = table.set_column(place, "probability", pa.array([1] * len(table), pa.int64()))
    path.write_bytes(parquet_of(older, identity_in(path.read_bytes())))
    write_manifest(folder, {**read_manifest(folder), "status": "unfinished"})
    found = Result(folder).frame("outcomes")["probability"].tolist()
    assert found == [1.0] * len(table) + before["probability"].tolist()[len(table) :]
