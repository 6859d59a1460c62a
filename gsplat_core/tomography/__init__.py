"""X-ray tomography: what a scanner measures, and volumes from it. Density fields of Gaussians are fitted
to such measurements by `trainers/ct`; here is what that needs of scanners, scans, phantoms and filtered
backprojection.
"""
