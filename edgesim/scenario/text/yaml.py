"""YAML text -> plain data, with the place of every key and value.

YAML 1.2: ``on`` is a text, ``010`` is ten, ``1e9`` is a number, dates are texts. Refused: equal keys in one mapping, several
documents, tags of other languages, and whatever is too large to be a scenario.
"""

from __future__ import annotations

import difflib
import re
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgesim.errors import Finding, ScenarioError
from edgesim.scenario.text.source import DataPath, Mark, Place, Source
from edgesim.units import show

if TYPE_CHECKING:
    from ruamel.yaml.error import YAMLError
    from ruamel.yaml.nodes import Node

MAX_BYTE = 1 << 20
MAX_DEPTH = 30
MAX_VALUES = 100_000
_TAG = "tag:yaml.org,2002:"
_NESTED = re.compile(rf"(?:[\[{{]\s*){{{MAX_DEPTH + 1}}}")  # found before the parser, which is slow on such texts
_OTHER_VERSION = re.compile(r"^%YAML\s+(?!1\.2\s*$).*$", re.MULTILINE)
_SURROGATE = re.compile("[\ud800-\udfff]")
_KINDS = {"map": "a mapping", "seq": "a list", "null": "nothing"}


def read_file(path: Path) -> Source:
    """Read a scenario file.

    Raises
    ------
    ScenarioError
        With one finding when the file cannot be read or is no YAML mapping.
    """
    text = _text_of(path)
    return read_text(text, file=str(path), folder=path.parent)


def read_text(text: str, file: str = "", folder: Path = Path()) -> Source:
    """Read a YAML text; see `read_file`."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import ReusedAnchorWarning, YAMLError

    lines = tuple(re.split("\r\n|\r|\n", text))
    empty = Source({}, file, folder, lines)
    _refuse_odd_texts(text, empty)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ReusedAnchorWarning)  # YAML lets a later anchor take over a name
            node = YAML(typ="safe", pure=True).compose(text)
    except YAMLError as error:
        raise ScenarioError((_syntax_finding(error, empty),)) from None
    except RecursionError:
        raise _too_deep(file) from None
    except (ValueError, OverflowError) as error:  # the scanner on escapes that are no character, e.g. "\\UFFFFFFFF"
        raise ScenarioError((Finding(f"not readable as YAML: {error}", file=file),)) from None
    if node is None:
        raise ScenarioError((Finding("the file is empty", expected="a scenario", help=_START, file=file),))
    if node.tag != _TAG + "map":
        got = _KINDS.get(node.tag.removeprefix(_TAG), "a single value")
        message = f"a scenario is a mapping of keys to values, not {got}"
        raise ScenarioError((empty.at(_place(node), message, (), "keys such as `name:` and `topology:`", _START),))
    reader = _Reader(empty)
    data = reader.value(node, (), None)
    return Source(data, file, folder, lines, reader.marks, tuple(reader.findings))


_START = "`edgesim new FILE` writes a commented one"


def _text_of(path: Path) -> str:
    def refuse(message: str, expected: str = "", remedy: str = "") -> ScenarioError:
        return ScenarioError((Finding(message, (), expected, remedy, str(path)),))

    if path.is_dir():
        raise refuse("this is a folder", "a scenario file", f"name the files, e.g. {path / '*.yaml'}")
    try:
        with path.open("rb") as stream:
            content = stream.read(MAX_BYTE + 1)
            size_byte = max(path.stat().st_size, len(content))
    except FileNotFoundError:
        raise refuse("no such file", "", _similar_files(path)) from None
    except OSError as error:
        raise refuse(f"cannot be read: {error.strerror or error}") from None
    if len(content) > MAX_BYTE:
        raise refuse(
            f"the file has {show(size_byte, 'byte')}", "a scenario of at most 1 MiB", "is this the right file?"
        )
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise refuse(f"not a text file: byte {error.start + 1} is no UTF-8", "a YAML file in UTF-8") from None
    if "\0" in text:
        raise refuse("not a text file: it contains zero bytes", "a YAML file in UTF-8")
    return text


def _similar_files(path: Path) -> str:
    try:
        names = [entry.name for entry in path.parent.iterdir() if entry.suffix in {".yaml", ".yml"}]
    except OSError:
        return f"there is no folder {str(path.parent)!r} either"
    near = difflib.get_close_matches(path.name, names, n=1, cutoff=0.5)
    return f"did you mean {str(path.parent / near[0])!r}?" if near else ""


def _refuse_odd_texts(text: str, source: Source) -> None:
    version = _OTHER_VERSION.search(text)
    if version:
        line = text.count("\n", 0, version.start()) + 1
        place = Place(line, 1, len(version[0]))
        raise ScenarioError((source.at(place, "scenarios are YAML 1.2", (), "no %YAML line, or %YAML 1.2", ""),))
    if _NESTED.search(text):
        raise _too_deep(source.file)


def _too_deep(file: str) -> ScenarioError:
    return ScenarioError((Finding("nested too deeply", (), f"at most {MAX_DEPTH} levels", file=file),))


def _place(node: Node) -> Place:
    start, end = node.start_mark, node.end_mark
    length = end.column - start.column if end.line == start.line else 1
    return Place(start.line + 1, start.column + 1, length)


_SYNTAX_HELP = (
    ("mapping values are not allowed", "quote a text that contains ': ', and indent keys of one mapping alike"),
    ("'\\t'", "indent with spaces, not with tabs"),
    ("alias", 'a text that begins with * must be quoted, e.g. "*"'),
    ("expected alphabetic or numeric character", 'a text that begins with * or & must be quoted, e.g. "*"'),
    ("cannot start any token", "quote a text that begins with a special character"),
    ("expected ',' or '}'", 'quote a text that contains braces, e.g. "w{1..8}", and close every brace'),
    ("expected ',' or ']'", "close the list with ']'"),
    ("<stream end>", "a bracket or brace is never closed"),
    ("end of stream", "a quote is never closed"),
    ("could not find expected ':'", "write `key: value`"),
    ("expected <block end>", "indent keys of one mapping alike"),
)


def _syntax_finding(error: YAMLError, source: Source) -> Finding:
    problem = str(getattr(error, "problem", None) or "")
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    if mark is None:  # the reader met a character that no YAML text may contain
        position = getattr(error, "position", None)
        place = _place_of_position(source, position) if isinstance(position, int) else Place(1, 1, 1)
        return source.at(place, "a control character, which YAML does not allow", (), "", "delete it")
    if "another document" in problem:
        place = Place(mark.line + 1, mark.column + 1, 3)
        return source.at(place, "a second document begins here", (), "one scenario per file", "")
    context = str(getattr(error, "context", None) or "")
    message = f"YAML syntax: {problem}{f' {context}' if context else ''}"
    remedy = next((text for sign, text in _SYNTAX_HELP if sign in message), "")
    return source.at(Place(mark.line + 1, mark.column + 1, 1), message, (), "", remedy)


def _place_of_position(source: Source, position: int) -> Place:
    for number, line in enumerate(source.lines, start=1):
        if position <= len(line):
            return Place(number, position + 1, 1)
        position -= len(line) + 1
    return Place(1, 1, 1)


class _Reader:
    """Turns composed nodes into plain data, and notes places and mistakes on the way."""

    def __init__(self, source: Source) -> None:
        self.marks: dict[DataPath, Mark] = {}
        self.findings: list[Finding] = []
        self._source = source
        self._n_values = 0

    def value(self, node: Node, path: DataPath, key: Place | None) -> Any:
        """Return the plain value of a node; aliases are written out."""
        self._n_values += 1
        if self._n_values > MAX_VALUES:
            message = f"aliases write out to more than {MAX_VALUES} values"
            raise ScenarioError((Finding(message, (), "a scenario of ordinary size", file=self._source.file),))
        if len(path) > MAX_DEPTH:  # also ends an alias that contains itself
            raise _too_deep(self._source.file)
        kind = str(node.tag).removeprefix(_TAG)
        self.marks[path] = Mark(_place(node), key, is_scalar=kind not in {"map", "seq"})
        if kind == "map":
            return self._mapping(node, path)
        if kind == "seq":
            return [self.value(item, (*path, index), None) for index, item in enumerate(node.value)]
        return self._scalar(node, kind, path)

    def _mapping(self, node: Node, path: DataPath) -> dict[str, Any]:
        merged: dict[str, Any] = {}
        plain: dict[str, Any] = {}
        for key_node, value_node in node.value:
            place = _place(key_node)
            if key_node.tag == _TAG + "merge":
                merged |= self._merged(value_node, path, place)
                continue
            if not isinstance(key_node.value, str):
                self._note(place, "a key must be a text", path)
                continue
            name = key_node.value
            if name in plain:
                first = self.marks[(*path, name)].key
                said = f"; first in line {first.line}" if first else ""
                self._note(
                    place, f"key {name!r} is given twice in one mapping{said}", (*path, name), "delete one of them"
                )
                continue
            plain[name] = self.value(value_node, (*path, name), place)
        return merged | plain

    def _merged(self, node: Node, path: DataPath, place: Place) -> dict[str, Any]:
        """Return what ``<<: *anchor`` brings in; keys of the mapping itself win."""
        nodes = node.value if node.tag == _TAG + "seq" else [node]
        result: dict[str, Any] = {}
        for item in reversed(nodes):
            if item.tag != _TAG + "map":
                self._note(place, "'<<' takes a mapping or a list of mappings", path)
                continue
            result |= self._mapping(item, path)
        return result

    def _scalar(self, node: Node, kind: str, path: DataPath) -> Any:
        text = node.value
        read = _SCALARS.get(kind)
        if read is None or not isinstance(text, str):  # a tag of a single value may stand before a list
            message = (
                f"unknown tag {node.tag!r}" if read is None else f"the tag {node.tag!r} before what is no single value"
            )
            self._note(_place(node), message, path, "tags are not used in scenarios; delete it")
            return text if isinstance(text, str) else None
        try:
            return read(text)
        except ValueError as error:
            self._note(_place(node), str(error), path)
            return None

    def _note(self, place: Place, message: str, path: DataPath, remedy: str = "") -> None:
        self.findings.append(self._source.at(place, message, path, "", remedy))


def _text(text: str) -> str:
    if _SURROGATE.search(text):
        raise ValueError("half a character (a lone surrogate)")
    return text


def _whole_number(text: str) -> int:
    digits = text.replace("_", "").lower()
    if len(digits) > _MAX_DIGITS:
        raise ValueError(f"a number of {len(digits)} digits")
    for prefix, base in (("0x", 16), ("0o", 8), ("0b", 2)):
        if digits.lstrip("+-").startswith(prefix):
            return int(digits.replace(prefix, "", 1), base)
    return int(digits)


def _number(text: str) -> float:
    return float(text.replace("_", "").lower().replace(".inf", "inf").replace(".nan", "nan"))


_MAX_DIGITS = 60
_SCALARS: dict[str, Callable[[str], Any]] = {
    "str": _text,
    "timestamp": _text,
    "int": _whole_number,
    "float": _number,
    "bool": lambda text: text.lower() == "true",
    "null": lambda _: None,
}
