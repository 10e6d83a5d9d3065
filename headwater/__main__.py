"""``python -m headwater``: the program where its script is not on the path."""

from headwater.cli.app import main

if __name__ == "__main__":
    main()
