"""A sphere of which a part swells and shrinks, and the rest stays as it is."""
