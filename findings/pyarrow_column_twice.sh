#!/bin/sh
# A column name that is there twice: Schema.get_field_index gives -1, with which RecordBatch.column takes the last one.
# A name that is not there gives -1 as well. Fails if pyarrow changes.
set -eu

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m pip install --quiet --target "$folder" 'pyarrow==25.0.1'
PYTHONPATH=$folder python3 - <<'END'
import sys

import pyarrow

table = pyarrow.table([pyarrow.array(["first"]), pyarrow.array(["second"])], names=["text", "text"])
batch = table.to_batches()[0]
number = batch.schema.get_field_index("text")
taken = batch.column(number).to_pylist()
missing = batch.column(batch.schema.get_field_index("nowhere")).to_pylist()
print("pyarrow", pyarrow.__version__)
print("get_field_index of a name that is there twice:", number)
print("column of that number:", taken)
print("column of a name that is not there:", missing)
print("get_all_field_indices:", batch.schema.get_all_field_indices("text"))
sys.exit((number, taken, missing) != (-1, ["second"], ["second"]))
END
