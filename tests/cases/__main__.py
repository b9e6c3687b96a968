"""`python -m tests.cases`: print the table of cases and tests; gaps go to standard error."""

import sys

from tests.cases.collecting import collected
from tests.cases.table import gaps, listed, page

tests = collected()
sys.stdout.write(page(listed(), tests))
sys.stderr.writelines(f"{gap}\n" for gap in gaps(listed(), tests))
