"""`edgesim models`: the trained networks that are kept, and moving them between machines."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

models = typer.Typer(
    name="models",
    help="""Show, remove, export and import trained networks.

    \b
    Examples:
      edgesim models
      edgesim models show 3f2a
      edgesim models export 3f2a --to my-models
      edgesim models import my-models/*.json
    """,
    rich_markup_mode=None,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
_SHOWN = 12  # characters of a key in tables; enough to be distinct, and to be typed

JsonOption = Annotated[bool, typer.Option("--json", help="Write to stdout as JSON.")]
KeysArgument = Annotated[list[str], typer.Argument(metavar="KEYS...", help="Keys, or their beginnings.")]


@models.callback()
def list_(context: typer.Context, is_json: JsonOption = False) -> None:
    """List the networks that are kept: what they are, how good, how large."""
    if context.invoked_subcommand is not None:
        return
    from edgesim.nn.train.cache import NetworkCache

    cache = NetworkCache.default()
    cards, damaged = cache.survey()
    for problem in damaged:
        typer.echo(f"warning: {problem}", err=True)
    if is_json:
        typer.echo(json.dumps([_summary(card) for card in cards], indent=2))
        return
    rows = [["key", "kind", "data set", "test score", "parameters", "size", "created"]]
    rows += [[str(value) for value in _row(card)] for card in cards]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows if cards else []:
        typer.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    left = cache.leftovers()
    megabytes = sum(path.stat().st_size for path in left) / 1e6
    n_unfinished = sum(path.suffix == ".checkpoint" for path in left)
    typer.echo(
        f"{len(cards)} networks in {cache.folder}; {n_unfinished} unfinished trainings and answers of teachers take {megabytes:.1f} MB",
        err=True,
    )


@models.command()
def show(key: Annotated[str, typer.Argument(metavar="KEY", help="Key, or its beginning.")]) -> None:
    """Show the card of a network as JSON: what it was made of, metrics, size, licence of the data.

    \b
    Examples:
      edgesim models show 3f2a
    """
    from edgesim.errors import DataError
    from edgesim.nn.train.cache import NetworkCache

    cache = NetworkCache.default()
    whole = cache.key_of(key)
    try:
        cache.check(whole)
    except DataError as error:
        raise DataError(f"{error}; it is trained anew when it is needed") from error
    typer.echo(json.dumps(next(card for card in cache.cards() if card["key"] == whole), indent=2))


@models.command()
def remove(
    keys: Annotated[list[str] | None, typer.Argument(metavar="KEYS...", help="Keys, or their beginnings.")] = None,
    is_all: Annotated[
        bool, typer.Option("--all", help="All networks, unfinished trainings and answers of teachers.")
    ] = False,
    leftovers: Annotated[bool, typer.Option(help="Unfinished trainings and answers of teachers only.")] = False,
) -> None:
    """Remove networks; they are trained anew when they are needed.

    \b
    Examples:
      edgesim models remove 3f2a 91c0
      edgesim models remove --leftovers
    """
    from edgesim.nn.train.cache import NetworkCache

    cache = NetworkCache.default()
    wanted = [cache.key_of(key) for key in keys or ()] or ([card["key"] for card in cache.cards()] if is_all else [])
    if not wanted and not leftovers and not is_all:
        raise typer.BadParameter("name at least one key, or give --all or --leftovers")
    for key in wanted:
        cache.remove(key)
    for path in cache.leftovers() if leftovers or is_all else []:
        path.unlink(missing_ok=True)
    typer.echo(f"removed {len(wanted)} networks", err=True)


@models.command()
def export(
    keys: KeysArgument,
    to: Annotated[Path, typer.Option(metavar="DIR", help="Folder that takes weights and cards.")] = Path("models"),
) -> None:
    """Copy networks to a folder: KEY.safetensors and its card KEY.json.

    \b
    Examples:
      edgesim models export 3f2a --to my-models
    """
    from edgesim.nn.train.cache import NetworkCache

    cache = NetworkCache.default()
    for key in [cache.key_of(one) for one in keys]:
        for path in cache.export(key, to):
            typer.echo(str(path))


@models.command("import")
def import_(
    cards: Annotated[
        list[Path], typer.Argument(metavar="CARDS...", help="Cards (KEY.json) with the weights beside them.")
    ],
) -> None:
    """Take networks in, so that scenarios that need them do not train. Damaged or changed ones are refused.

    Nothing that a card names is imported or run. What the weights answer is not checked: take them from people you trust.

    \b
    Examples:
      edgesim models import models/digits/*.json
    """
    from edgesim.errors import DataError
    from edgesim.nn.train.cache import NetworkCache

    cache, refused = NetworkCache.default(), []
    for path in cards:
        try:
            typer.echo(cache.take_in(path))
        except DataError as error:
            refused.append(str(error))
    if refused:
        raise DataError("\n".join(refused))


def _summary(card: dict[str, Any]) -> dict[str, Any]:
    return {
        "key": card["key"],
        "kind": card["determined_by"]["kind"],
        "about": card["about"],
        "metrics": card["metrics"],
        "size_byte": card["weights_byte"],
        "created": card["created"],
    }


def _row(card: dict[str, Any]) -> tuple[object, ...]:
    summary = _summary(card)
    return (
        summary["key"][:_SHOWN],
        summary["kind"],
        summary["about"].get("dataset", ""),
        ", ".join(_shown(name, value) for name, value in summary["metrics"].items() if name.startswith("test_")),
        f"{summary['about'].get('n_parameters', 0):,}",
        f"{summary['size_byte'] / 1e3:,.0f} kB",
        summary["created"],
    )


def _shown(metric: str, value: float) -> str:
    return f"{metric.removeprefix('test_')} {value:.4f}"
