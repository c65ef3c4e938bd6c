"""`python -m workers`: one worker. Nothing stands outside the guard: each trainer imports this module again."""

if __name__ == "__main__":
    from workers.app import main

    main()
