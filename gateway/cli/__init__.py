"""The `huxi` command: asks the running daemon, checks files, reads and imitates devices."""
