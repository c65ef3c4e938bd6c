"""`python -m service.cli`, the same as `rightfit`."""

from service.cli import main

main(prog_name="rightfit")
