"""From a case to trials, by column."""
