"""One parser a layout: the columns of raw records to columns of pairs, one row a record.

A parser gets every column of its layout as text, ``""`` where a record lacks it, and returns some of the columns of
pairs with the same index. A record that does not fit gets a reason in ``fault``.
"""
