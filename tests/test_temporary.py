"""What travels to worker processes does not stay in the folder for temporary files."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from edgesim.errors import EdgesimError
from edgesim.files.temporary import remove_ownerless, shared_file

HOLDER = """
import sys
from edgesim.files.temporary import shared_file
with shared_file(b"content") as path:
    print(path, flush=True)
    sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def _place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))


def test_it_is_there_while_it_is_wanted(tmp_path: Path) -> None:
    """Somebody else who packs, or sweeps, leaves it alone."""
    with shared_file(b"one") as one, shared_file(b"two") as two:
        remove_ownerless()
        assert (one.read_bytes(), two.read_bytes()) == (b"one", b"two")
    assert not list(tmp_path.iterdir())


def test_that_of_a_killed_process_goes_with_the_next(tmp_path: Path) -> None:
    """As long as it lives, it keeps it; after SIGKILL nobody is left to remove it but the next."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        path = Path(holder.stdout.readline().strip())
        remove_ownerless()
        assert path.read_bytes() == b"content"
        holder.send_signal(signal.SIGKILL)
        holder.wait(60)
    assert path.exists()
    with shared_file(b"next"):
        assert not path.parent.exists()
    assert not list(tmp_path.iterdir())


def test_nothing_else_is_swept(tmp_path: Path) -> None:
    """Neither reports of bugs, nor folders without an owner's lock, nor what a link leads to."""
    thesis = tmp_path / "thesis"
    for folder in (thesis, tmp_path / "edgesim-notes"):
        folder.mkdir()
        (folder / "chapter").write_text("two years")
    (thesis / "owner").write_text("")
    (tmp_path / "edgesim-link").symlink_to(thesis)
    (tmp_path / "edgesim-bug-1.txt").write_text("bug")
    remove_ownerless()
    assert {path.name for path in tmp_path.iterdir()} == {
        "thesis",
        "edgesim-notes",
        "edgesim-link",
        "edgesim-bug-1.txt",
    }
    assert (thesis / "chapter").exists()


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With what to do."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "none"))
    with (
        pytest.raises(EdgesimError, match=r"cannot be written to .*none: .*; make room, set TMPDIR to another"),
        shared_file(b""),
    ):
        pass


TRAINS = "import edgesim.nn, torch; torch.optim.SGD(torch.nn.Linear(1, 1).parameters(), lr=0.1)"


def test_torch_leaves_no_empty_folder_for_compiled_code(tmp_path: Path) -> None:
    """It makes one as soon as an optimiser is made; what lies in one stays, and so does one that was chosen."""
    unset = {
        name: value for name, value in os.environ.items() if name != "TORCHINDUCTOR_CACHE_DIR"
    }  # torch sets it here
    subprocess.run([sys.executable, "-c", TRAINS], check=True, env=unset)
    assert not list(tmp_path.iterdir())
    fill = "; import os, pathlib; pathlib.Path(os.environ['TORCHINDUCTOR_CACHE_DIR'], 'code').touch()"
    subprocess.run([sys.executable, "-c", TRAINS + fill], check=True, env=unset)
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["code"]
    chosen = tmp_path / "chosen"
    subprocess.run(
        [sys.executable, "-c", TRAINS], check=True, env={**os.environ, "TORCHINDUCTOR_CACHE_DIR": str(chosen)}
    )
    assert chosen.is_dir()
