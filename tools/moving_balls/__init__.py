"""Patterned balls in a round room, of which two move and the rest stays as it is."""
