"""`python -m npuexplore` is `npuexplore`."""

from npuexplore.cli.app import main

if __name__ == "__main__":
    main()
