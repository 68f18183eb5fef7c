"""The container that an instance runs: TF Serving's contract. Knows nothing of AWS's API."""
