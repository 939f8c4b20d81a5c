"""The core, which decides: pure functions and plain state. No clock, no thread, no client, no environment."""
