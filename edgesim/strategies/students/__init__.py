"""What strategies with student networks share."""
