"""What SageMaker leans on: S3, STS."""
