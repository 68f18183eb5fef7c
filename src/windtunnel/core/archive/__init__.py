"""Other people's archives, unpacked without harm."""
