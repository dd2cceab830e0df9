"""`python -m retrograd`: the command `retrograd`, where its script is not on the path."""

from retrograd.app.cli.main import run

if __name__ == "__main__":
    run()
