"""Instances: start, health, drain, replace."""
