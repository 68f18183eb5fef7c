"""AWS's wire formats, server side: requests in, answers and errors out, guided by the models."""
