"""Where code to replay comes from: fresh lines of public projects, or a git repository."""
