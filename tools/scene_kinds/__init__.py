"""Three scenes that exist as formulas only, rendered without other packages than NumPy and PyTorch."""
