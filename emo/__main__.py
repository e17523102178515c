"""`python -m emo`, the same as the command `emo`."""

from emo.cli import main

if __name__ == "__main__":
    main()
