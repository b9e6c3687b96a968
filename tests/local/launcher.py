"""A launcher as `firmhold up` is one, in any folder and with the stand-in: `python -m tests.local.launcher FOLDER`."""

import os
import sys
from pathlib import Path

from firmhold.local.console import Progress
from firmhold.local.failure import LocalError
from firmhold.local.places import Places
from firmhold.local.stack import launch


def main() -> int:
    """Launch; what goes wrong is told as the real command tells it."""
    places = Places(root=Path(sys.argv[1]), downloads=Places.of_checkout().downloads)
    progress = Progress()
    try:
        return launch(places, os.environ, progress, (sys.executable, str(Path(__file__).with_name("stand_in.py"))))
    except LocalError as error:
        progress.fail(str(error))
        return 1


if __name__ == "__main__":
    sys.exit(main())
