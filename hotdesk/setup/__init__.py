"""Setting a machine up: steps that are decided first, shown, carried out, and taken back."""
