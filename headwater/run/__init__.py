"""The composer: settings → objects → loop, one file for each thing that a run does. Start at ``verbs.py``."""
