"""What strategies that cut layers share."""
