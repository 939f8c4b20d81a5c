"""What writes into VICIdial: its agent API and its tables."""
