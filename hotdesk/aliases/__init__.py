"""Phones and aliases of a whole cluster, made alike: what is there, what is wanted, and the steps between the two."""
