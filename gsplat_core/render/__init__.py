"""Rendering: settings, stages, and the functions that arrange them."""
