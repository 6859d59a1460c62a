"""What is known between two frames of a moving scene: where Gaussians go, and which pixels show the same."""
