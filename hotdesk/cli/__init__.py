"""The `hotdesk` command and its subcommands."""
