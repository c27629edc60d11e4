"""Inputs that are damaged at random: each is read, or refused in words; nothing else.

`python -m tests.fuzz KIND --n 20000` by hand, `test_fuzz.py` in CI. A kind of input is one file `kind_NAME.py` with
`KINDS`.
"""
