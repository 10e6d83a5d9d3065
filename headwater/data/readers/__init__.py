"""From the user's files to examples: one decoder each for plain text, delimited, JSON and columnar tables."""
