"""Training of Gaussian scenes from photographs, and the command line `gsplat-core`."""

import os

# OpenMP's threads shall sleep and not spin while Python works between two operators: on a machine that does
# anything else besides, spinning takes the time from threads that have work. Read when PyTorch is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
