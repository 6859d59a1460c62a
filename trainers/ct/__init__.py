"""Trainings on X-ray projections: `gsplat-core ct`."""
