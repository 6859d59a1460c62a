"""The still life that ships with the project: shapes, paint, composition, cameras, COLMAP model."""
