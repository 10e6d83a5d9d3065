"""Which Headwater this is: known without an installation, too."""

VERSION = "0.1.0"
