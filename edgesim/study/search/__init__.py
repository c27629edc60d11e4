"""From what may be chosen to what is best; and from a goal to the largest request rate that meets it."""
