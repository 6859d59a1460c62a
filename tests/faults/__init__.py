"""What becomes of files when the disk fails: operations, with each of their system calls failing.

`faults.c` makes calls fail, `injection.py` speaks with it, `operations.py` has what is tried and what has to
hold afterwards, `loop.py` tries it. `make faults` tries everything; the tests try a sample.
"""
