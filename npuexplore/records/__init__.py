"""What lies on disk between the stages."""
