"""Measurements against peers, each of them run again by one command; see README.md beside this file."""
