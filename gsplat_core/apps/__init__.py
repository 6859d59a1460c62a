"""Applications: what can be done with a finished scene. One file each, with its settings and `run(...)`."""
