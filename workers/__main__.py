"""`python -m workers`: one worker. Nothing stands outside the guard: each trainer imports this module again."""

if __name__ == "__main__":
    import sys

    from service.core.errors import RightfitError

    try:
        from workers.app import main

        main()
    except RightfitError as error:
        sys.exit(f"rightfit worker: {error}")
