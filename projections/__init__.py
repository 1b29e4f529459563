"""What readers see: folds of the log. Imports ledger/, never api/."""

import os

# numpy brings a library of linear algebra, which nothing here calls: its threads would spin at the start of every
# process, a tenth of the processor time of a short command.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
