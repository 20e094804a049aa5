"""Exact geography: which census block, and so which district, each household clone lives in.

Importing this package imports numpy only. :mod:`~local_h5.inputs.geography.load` reads the three forms a geography
comes in and :mod:`~local_h5.inputs.geography.blocks` the public block tables; both are for the prepare step.
"""

from local_h5.inputs.geography.block_table import BlockTable
from local_h5.inputs.geography.canonical import Geography

__all__ = ["BlockTable", "Geography"]
