"""Samples in; windowed statistics out."""
