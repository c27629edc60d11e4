"""Which commands are made ready for a call."""

from __future__ import annotations

import pytest

from edgesim.cli import main


@pytest.mark.parametrize("name", ["validate", "run", "list", "explain-latency"])
def test_a_call_makes_ready_its_command_only(name: str) -> None:
    made = main.app_for([name])
    assert [one.name or one.callback.__name__ for one in made.registered_commands if one.callback] == [name]
    assert made.registered_groups == []
    assert main.app.registered_groups
    assert len(main.app.registered_commands) > 20


@pytest.mark.parametrize("words", [[], ["--help"], ["-h"], ["--debug"], ["valdate"], ["results"], ["list_"]])
def test_help_groups_and_what_is_unknown_have_all_commands(words: list[str]) -> None:
    assert main.app_for(words) is main.app
