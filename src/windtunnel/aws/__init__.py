"""Pure facts and formulas of AWS: signatures, names, instance types. No I/O, no clock."""
