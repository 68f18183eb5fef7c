"""The local SageMaker: a real control plane, real instances, real metrics."""
