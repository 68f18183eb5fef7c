"""What runs a model: each engine loads a directory and turns named tensors into named tensors."""
