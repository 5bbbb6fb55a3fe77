"""Rows as files: CSV, or Parquet; amounts are decimal text in both, so they are exact."""

import csv
from collections.abc import Iterable
from itertools import chain, islice
from pathlib import Path

Row = dict[str, str]
ROWS_PER_GROUP = 50_000


def write_csv(path: Path, rows: Iterable[Row]) -> int:
    """Write `path`.csv; return the count of rows. A file of no rows is empty."""
    count = 0
    with path.with_suffix(".csv").open("w", newline="", encoding="utf-8") as file:
        for count, row in enumerate(rows, start=1):
            if count == 1:
                writer = csv.DictWriter(file, fieldnames=list(row))
                writer.writeheader()
            writer.writerow(row)
    return count


def write_parquet(path: Path, rows: Iterable[Row]) -> int:
    """Write `path`.parquet in groups of ROWS_PER_GROUP; return the count of rows. Every column is text: exact."""
    import pyarrow
    from pyarrow import parquet

    source = iter(rows)
    first = next(source, None)
    columns = list(first) if first else []
    schema = pyarrow.schema([(name, pyarrow.string()) for name in columns])
    count = 0
    rest = chain([first], source) if first else source
    with parquet.ParquetWriter(path.with_suffix(".parquet"), schema) as writer:
        while group := list(islice(rest, ROWS_PER_GROUP)):
            writer.write_table(pyarrow.Table.from_pylist(group, schema=schema))
            count += len(group)
    return count
