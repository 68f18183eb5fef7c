"""What the user came for: deploy, load, report. Reaches endpoints through boto3 and HTTP only."""
