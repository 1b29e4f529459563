"""The command line: one file per command, found by discovery (see api/command_line.py)."""
