"""One invocation: choose the instance, forward, measure."""
