"""What a training is made of besides the scene and its photometric loss: one part in each file."""
