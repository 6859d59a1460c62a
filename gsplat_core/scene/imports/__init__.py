"""Captures as other programs export them, read in place: nothing has to be converted first."""
