"""Pages for contributors whose lists are made from the code; `python -m tests.contributing` writes them anew."""
