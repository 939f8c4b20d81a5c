"""What keeps the core at work: threads that follow the log, commit decisions, carry out actions and count."""
