"""The file that says which machine is which device, and how commands are run there."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgesim.errors import Finding, ScenarioError
from edgesim.scenario.text.yaml import read_file

if TYPE_CHECKING:
    from pathlib import Path

    from edgesim.scenario.text.source import DataPath, Source

SSH = "ssh -o BatchMode=yes {host}"
_KEYS = ("command", "python", "paced", "hosts")
_WORD = re.compile(r"[\w./~+:@%-]+")
"""What a shell on the other machine takes as it is."""


@dataclass(frozen=True, slots=True)
class Machine:
    """One machine.

    Parameters
    ----------
    host : what the command calls it.
    address : where the other machines reach it.
    """

    host: str
    address: str


@dataclass(frozen=True, slots=True)
class Machines:
    """All of them.

    Parameters
    ----------
    command : words of the command that runs another on a machine, with ``{host}`` for the machine.
    python : program that has edgesim, there.
    is_paced : whether senders pace what they send as the scenario's links, over a network that is faster; else the network is as it is.
    of_device : by device.
    """

    command: tuple[str, ...]
    python: str
    is_paced: bool
    of_device: Mapping[str, Machine]

    def words(self, device_id: str) -> list[str]:
        """Return the command that starts a node on the machine of a device."""
        host = self.of_device[device_id].host
        words = [word.replace("{host}", host) for word in self.command]
        return [*words, self.python, "-m", "edgesim.testbed.node"]


def read_machines(path: Path) -> Machines:
    """Read such a file.

    Raises
    ------
    ScenarioError
        With every finding, when it cannot be read or says something else.
    """
    source = read_file(path)
    findings = (*source.findings, *_findings(source))
    if findings:
        raise ScenarioError(findings)
    data = source.data
    return Machines(
        tuple(shlex.split(data.get("command", SSH))),
        data.get("python", "python3"),
        data.get("paced", False),
        {device_id: _machine(said) for device_id, said in data["hosts"].items()},
    )


def _machine(said: Any) -> Machine:
    if isinstance(said, str):
        return Machine(said, said.rpartition("@")[2])
    return Machine(said["host"], said.get("address", said["host"].rpartition("@")[2]))


def _findings(source: Source) -> Iterator[Finding]:
    data = source.data
    for key in data:
        if key not in _KEYS:
            yield source.finding((key,), f"unknown key {key!r}", expected=", ".join(_KEYS), is_key=True)
    yield from _words(source, ("command",), data.get("command", SSH), "{host}")
    yield from _words(source, ("python",), data.get("python", "python3"))
    if not isinstance(data.get("paced", False), bool):
        yield source.finding(("paced",), "paced says whether senders pace what they send", expected="true or false")
    hosts = data.get("hosts")
    if not isinstance(hosts, dict) or not hosts:
        expected = "hosts: {DEVICE: HOST}, or {DEVICE: {host: HOST, address: ADDRESS}}"
        yield source.finding(("hosts",), "the file names no hosts", expected=expected)
        return
    for device_id, said in hosts.items():
        yield from _host(source, ("hosts", device_id), said)


def _host(source: Source, path: DataPath, said: Any) -> Iterator[Finding]:
    given = said if isinstance(said, dict) else {"host": said}
    if "host" not in given or not set(given) <= {"host", "address"}:
        yield source.finding(path, "a host has `host`, and an `address` if others reach it by another name")
    for key in given.keys() & {"host", "address"}:
        if not isinstance(given[key], str) or not _WORD.fullmatch(given[key]) or given[key].startswith("-"):
            yield source.finding(
                (*path, key), f"{given[key]!r} is no name of a machine", expected="a name or an address"
            )


def _words(source: Source, path: DataPath, said: Any, needed: str = "") -> Iterator[Finding]:
    """Find what is no command of plain words: a shell on the other machine may read them again."""
    expected = f"plain words, {needed} among them" if needed else "one plain word"
    try:
        words = shlex.split(said) if isinstance(said, str) else []
    except ValueError:
        words = []
    are_plain = all(_WORD.fullmatch(word.replace("{host}", "host").replace("=", "")) for word in words)
    if (
        not words
        or not are_plain
        or (needed and not any(needed in word for word in words))
        or (not needed and len(words) > 1)
    ):
        yield source.finding(path, f"{said!r} is no command", expected=expected)
