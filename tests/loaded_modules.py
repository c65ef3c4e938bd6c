"""Import the modules named by the arguments and print the names of all modules that are then loaded, one a line."""

import importlib
import sys

if __name__ == "__main__":
    for name in sys.argv[1:]:
        importlib.import_module(name)
    print("\n".join(sys.modules))
