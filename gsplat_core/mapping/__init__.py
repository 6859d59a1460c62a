"""What incremental mapping (`gsplat_core.apps.mapper`) is made of: finding a pose, and making Gaussians of
points."""
