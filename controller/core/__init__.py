"""What decides: pure functions and plain state. No clock, no thread, no client, no environment."""
