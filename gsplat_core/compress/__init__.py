"""Compression of scenes: vector quantisation, self-organising grids, and what both build on."""
