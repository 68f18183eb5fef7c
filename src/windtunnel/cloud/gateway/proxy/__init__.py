"""The HTTPS proxy: what a client sends to any AWS host lands in this cloud."""
