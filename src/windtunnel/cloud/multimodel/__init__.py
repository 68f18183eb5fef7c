"""The models of multi-model endpoints: fetched when they are asked for, loaded, and unloaded."""
