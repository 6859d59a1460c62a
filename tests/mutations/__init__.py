"""Plants single mistakes in the formulas and conditions of the product: do its tests notice?

``python -m mutations`` (``make mutations``) takes away each barrier of the CUDA kernels
(``cuda_on_cpu.mutations``), and plants a sample of mistakes in the Python files and in ``csrc/math``.
"""
