"""YAML texts: what they mean, where their parts stand, and what is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgesim.errors import ScenarioError
from edgesim.scenario.text.source import Place
from edgesim.scenario.text.yaml import MAX_BYTE, MAX_DEPTH, read_file, read_text

if TYPE_CHECKING:
    from pathlib import Path


def refusal(text: str) -> str:
    """Return the one finding that ends the reading of a text."""
    with pytest.raises(ScenarioError) as caught:
        read_text(text, "f.yaml")
    assert len(caught.value.findings) == 1
    return str(caught.value)


def test_scalars_are_those_of_yaml_1_2() -> None:
    """`on` is a text, 010 is ten, 1e9 is a number, a date is a text."""
    text = "a: on\nb: 010\nc: 1e9\nd: 2026-01-01\ne: ~\nf: true\ng: 0x1F\nh: '8'\ni: 1_000\nj: .5\n"
    expected = {
        "a": "on",
        "b": 10,
        "c": 1e9,
        "d": "2026-01-01",
        "e": None,
        "f": True,
        "g": 31,
        "h": "8",
        "i": 1000,
        "j": 0.5,
    }
    data = read_text(text).data
    assert data == expected
    assert [type(value) for value in data.values()] == [type(value) for value in expected.values()]


def test_every_key_and_value_has_a_place() -> None:
    """Places count from 1 and cover the text as written."""
    source = read_text('topology:\n  media: [cell, "w{1..8}"]\n')
    assert source.marks["topology", "media", 1].value == Place(2, 17, 9)
    assert source.marks["topology", "media"].key == Place(2, 3, 5)
    assert source.marks["topology",].is_scalar is False


def test_a_finding_without_a_place_stands_at_the_nearest_place_around_it() -> None:
    """A missing key is shown at the mapping that lacks it."""
    finding = read_text("a:\n  b: {c: 1}\n", "f.yaml").finding(("a", "b", "x", "y"), "lacks x")
    assert (finding.line, finding.column, finding.length) == (2, 3, 1)


def test_equal_keys_are_found_and_the_first_counts() -> None:
    """Both lines are named."""
    source = read_text("a: 1\nb: 2\na: 3\n", "f.yaml")
    assert source.data == {"a": 1, "b": 2}
    (finding,) = source.findings
    assert (finding.line, "first in line 1" in finding.message) == (3, True)


def test_aliases_and_merges_are_written_out() -> None:
    """Keys of the mapping itself win over merged ones."""
    assert read_text("a: &x {k: 1, l: 2}\nb: {<<: *x, l: 3}\nc: *x\n").data["b"] == {"k": 1, "l": 3}


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("", "the file is empty"),
        ("# nothing\n", "the file is empty"),
        ("- 1", "not a list"),
        ("hello", "not a single value"),
        ("a: 1\n---\nb: 2", "f.yaml:2:1: a second document"),
        ("a: b: c", "f.yaml:1:5: YAML syntax"),
        ("a: *x", "must be quoted"),
        ("a: *", "must be quoted"),
        ("a: [1,", "never closed"),
        ("\ta: 1", "with spaces, not with tabs"),
        ("a: w{1..8}\nb: {id: w{1..8}}", "f.yaml:2:10: YAML syntax"),
        ("a: \x07", "f.yaml:1:4: a control character"),
        ("%YAML 1.1\n---\na: on", "scenarios are YAML 1.2"),
        ('a: "\\UFFFFFFFF"', "not readable as YAML"),
        ("[" * (MAX_DEPTH + 1), "nested too deeply"),
        ("{a: " * 5000, "nested too deeply"),
        ("- " * 3000 + "a", "nested too deeply"),
        ("a: &r [*r]", "nested too deeply"),
    ],
)
def test_texts_that_are_no_scenario_get_one_clear_finding(text: str, part: str) -> None:
    """No traceback, one finding, and the remedy where there is one."""
    assert part in refusal(text)


def test_an_alias_bomb_is_refused() -> None:
    """Nine levels of nine aliases would be 400 million values."""
    levels = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    levels += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 9)]
    assert "aliases write out to more than" in refusal("\n".join(levels))


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("a: !python/object:os.system x", "unknown tag"),
        ("a: !!set {b}", "unknown tag"),
        ("a: !!str [a]", "the tag 'tag:yaml.org,2002:str' before what is no single value"),
        ("a: !!float {b: 1}", "the tag 'tag:yaml.org,2002:float' before what is no single value"),
        ("? [a]\n: 1", "a key must be a text"),
        ('a: "\\ud800"', "lone surrogate"),
        ("a: " + "9" * 5000, "a number of 5000 digits"),
        ("a: !!int x", "invalid literal"),
        ("a: {<<: 3}", "'<<' takes a mapping"),
    ],
)
def test_odd_values_are_found_and_the_rest_is_read(text: str, part: str) -> None:
    """One odd value does not hide other mistakes."""
    source = read_text(f"first: 1\n{text}\n", "f.yaml")
    assert source.data["first"] == 1
    assert [part in finding.message for finding in source.findings] == [True]


@pytest.mark.parametrize(
    ("content", "part"),
    [
        (b"", "the file is empty"),
        (b"\x89PNG\r\n\x1a\n\0\0", "not a text file"),
        (b"a: 1\0", "zero bytes"),
        ("a: 1".encode("utf-16"), "not a text file"),
        (b"a" * (10 * 10**6), "the file has 10 MB"),
    ],
)
def test_files_that_are_no_scenario_get_one_clear_line(tmp_path: Path, content: bytes, part: str) -> None:
    """Binary rubbish, empty and huge files are refused before they are parsed."""
    path = tmp_path / "f.yaml"
    path.write_bytes(content)
    with pytest.raises(ScenarioError) as caught:
        read_file(path)
    (finding,) = caught.value.findings
    assert part in finding.message
    assert str(caught.value).startswith(f"{path}: ")


def test_a_file_of_exactly_the_allowed_size_is_read(tmp_path: Path) -> None:
    """The limit itself is allowed."""
    path = tmp_path / "f.yaml"
    path.write_text("a: " + "x" * (MAX_BYTE - 3), encoding="utf-8")
    assert len(read_file(path).data["a"]) == MAX_BYTE - 3


def test_a_missing_file_suggests_its_neighbour_and_a_folder_says_so(tmp_path: Path) -> None:
    """What a typo in the path gives."""
    (tmp_path / "wearables.yaml").write_text("a: 1", encoding="utf-8")
    with pytest.raises(ScenarioError, match=r"no such file\n.*did you mean '.*/wearables.yaml'"):
        read_file(tmp_path / "wearable.yaml")
    with pytest.raises(ScenarioError, match="this is a folder"):
        read_file(tmp_path)
    with pytest.raises(ScenarioError, match=r"no such file\n.*there is no folder"):
        read_file(tmp_path / "no" / "x.yaml")


def test_a_byte_order_mark_and_windows_lines_are_read(tmp_path: Path) -> None:
    """Files from other editors."""
    path = tmp_path / "f.yaml"
    path.write_bytes(b"\xef\xbb\xbfa: 1\r\nb: [2\r\n  ]\r\n")
    assert read_file(path).data == {"a": 1, "b": [2]}


@settings(max_examples=150, deadline=None)
@given(st.text(st.sampled_from("ab1 :-,[]{}&*!|>'\"%@#\n\t~?<.\\é\x00\ud800"), max_size=40))
def test_no_text_makes_the_reader_fail(text: str) -> None:
    """Every text is read, or refused with a finding."""
    try:
        message = str(read_text(text, "f.yaml").data)
    except ScenarioError as error:
        message = str(error)
    assert message.startswith(("f.yaml:", "{"))
