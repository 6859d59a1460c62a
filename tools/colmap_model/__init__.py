"""Makes COLMAP models of rendered photographs."""
