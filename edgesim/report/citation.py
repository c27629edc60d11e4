"""How a result is cited: BibTeX entries, and tables in LaTeX."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from edgesim.errors import UnknownNameError
from edgesim.registry import REGISTRIES
from edgesim.report.goals import all_tables
from edgesim.scenario.text.docstrings import plain, read_docstring

if TYPE_CHECKING:
    from typing import Any

    from edgesim.report.table import Table
    from edgesim.study.folder.store import Result

OWN = "Our own"
"""How the reference of what comes from no paper begins."""
_SPECIAL = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "%": r"\%", "&": r"\&", "#": r"\#", "_": r"\_", "$": r"\$", "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}", "±": r"$\pm$", "<": r"$<$", ">": r"$>$", "µ": r"$\mu$", "≤": r"$\leq$", "≥": r"$\geq$",
}  # fmt: skip


def references(scenario: dict[str, Any]) -> list[tuple[str, str]]:
    """Return where strategies and failure models come from, by label, those that are installed here."""
    found = []
    for seam in ("strategies", "failures"):
        for label, options in scenario[seam].items():
            try:
                docstring = REGISTRIES[seam].get(options["type"]).__doc__
            except UnknownNameError:
                continue
            text = read_docstring(docstring).sections.get("References")
            if text and not text.startswith(OWN):
                found.append((label, plain(" ".join(text.split()))))
    return found


def bibtex(result: Result) -> str:
    """Return BibTeX entries of the tool, the study and the references of its strategies and failure models.

    References are whole texts in the field `note`, since docstrings hold them so; a DOI in it is a field of its own.
    """
    about = result.manifest
    year, version = about["finished"][:4], about["versions"]["edgesim"]
    entries = [
        _entry("software", "edgesim", title="edgesim: discrete-event simulation of distributed neural networks on edge devices", version=version, year=year),
        _entry(
            "misc", f"study-{about['name']}", title=about["question"] or about["name"], year=year,
            note=f"Study {about['name']} with edgesim {version}: seed {about['seed']}, {about['replications']} replications, scenario {about['hash'][:16]}",
        ),
    ]  # fmt: skip
    kept = {text: label for label, text in reversed(references(about["scenario"]))}
    for text, label in reversed(kept.items()):
        doi = re.search(r"\b10\.\d{4,9}/[^\s,;]+", text)
        entries.append(_entry("misc", f"ref-{label}", note=text, **({"doi": doi[0].rstrip(".)")} if doi else {})))
    return "\n".join(entries)


def _entry(kind: str, key: str, **fields: str) -> str:
    lines = [f"  {name} = {{{value if name == 'doi' else latex(value)}}}" for name, value in fields.items()]
    return f"@{kind}{{{key},\n" + ",\n".join(lines) + "\n}\n"


def latex(text: str) -> str:
    r"""Return a text as LaTeX shows it.

    >>> print(latex("95 % ±2"))
    95 \% $\pm$2
    """
    return "".join(_SPECIAL.get(sign, sign) for sign in text)


def latex_tables(result: Result) -> str:
    """Return the tables of a result in LaTeX, each as a `table` of booktabs; the best values are bold."""
    return "\n".join(_table(table) for table in all_tables(result))


def _table(table: Table) -> str:
    columns = "l" * table.n_names + "r" * (len(table.headers) - table.n_names)
    head = " & ".join(latex(header.replace("-\n", "").replace("\n", " ")) for header in table.headers)
    lines = [
        " & ".join(
            rf"\textbf{{{latex(cell)}}}" if (row, column) in table.best else latex(cell)
            for column, cell in enumerate(cells)
        )
        for row, cells in enumerate(table.rows)
    ]
    rows = "\n".join(f"    {line} \\\\" for line in lines)
    caption = latex(table.title + (f"; {table.note}" if table.note else ""))
    return (
        "% needs \\usepackage{booktabs}\n\\begin{table}\n  \\centering\n"
        f"  \\caption{{{caption}.}}\n  \\begin{{tabular}}{{{columns}}}\n    \\toprule\n    {head} \\\\\n    \\midrule\n{rows}\n"
        "    \\bottomrule\n  \\end{tabular}\n\\end{table}\n"
    )
