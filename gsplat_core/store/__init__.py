"""Scenes larger than memory: Gaussians on disk, by cells of space, of which those in use are in memory.

    cells      the hash of space: which cell a Gaussian belongs to
    reach      how far from its centre a Gaussian can be seen
    sight      which cells a camera may see
    layout     a row of a scene, with its optimizer's moments, as bytes
    index      which rows of which cell are where in the log
    store      the folder: an append-only log of rows and its index
    filling    a store from a scene that comes piece by piece
    active     the cells in memory, as a scene that can be rendered and changed

A store is valid at every moment: what a killed process has written since its last `commit` is not in it, and
all that was committed is.
"""
