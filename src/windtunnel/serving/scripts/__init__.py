"""What runs the script of an archive: `code/inference.py`, between the client and the models."""
