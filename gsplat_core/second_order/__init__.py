"""Second-order fitting without storing a Jacobian: products with it, its exact blocks, and a solver.

    images   linearization.Linearization    J p, J^T u, blocks of J^T W J for the images of some views
    loss     objective.L1DSSIM              gradient and curvature of a loss as a function of an image
    solver   pcg.solve, preconditioner, trust_region

`trainers/lm.py` makes Levenberg-Marquardt of them.
"""
