"""The adapters that write into VICIdial: its agent API and its tables."""
