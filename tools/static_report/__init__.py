"""What nvcc makes of the CUDA kernels, found without a GPU; ``tools/cuda_report.py`` prints it."""
