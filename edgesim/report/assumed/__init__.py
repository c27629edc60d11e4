"""From what assumed numbers change to a table and a sentence."""
