"""The reference model: the workshop's U-Net, trained on seeded synthetic microscopy pictures."""
