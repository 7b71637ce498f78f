"""What several formats have in common; formats use these helpers and never each other."""
