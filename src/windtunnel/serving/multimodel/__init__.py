"""A container that starts without models and is given them one by one (SAGEMAKER_MULTI_MODEL)."""
