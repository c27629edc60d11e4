"""A plug-in that is really a program."""

raise SystemExit(5)
