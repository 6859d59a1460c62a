"""Training frame after frame of a moving scene."""
