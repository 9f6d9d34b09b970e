"""Peak memory and time of reading a JSON-lines corpus of a given size, record by record, and keeping none of it.

    python benchmarks/json_lines_memory.py FOLDER [--gigabytes 1]

Writes synthetic records of about 1 kB into a temporary folder inside FOLDER, reads them in a process of its own, and
deletes them. Prints the records read, the time, the peak resident set, and that of a process which reads one record.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

CODE = """
import resource, sys, time
from med_lora.datasets.readers.json_records import read_json_lines
from med_lora.datasets.readers.source import Source
from med_lora.layouts import LAYOUTS

source = Source(sys.argv[1], lambda: open(sys.argv[1], "rb"), LAYOUTS["alpaca"], {}, "utf-8", "synthetic")
started = time.perf_counter()
records = sum(len(chunk) for chunk in read_json_lines(source))
print(records, time.perf_counter() - started, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def write(path: Path, size: int) -> None:
    """Records of about 1 kB up to ``size`` bytes."""
    answer = "Urate crystals settle in the joint and inflame it; the pain peaks within a day. " * 11
    record = {"instruction": "Answer the question.", "input": "What causes gout?", "output": answer}
    line = json.dumps(record).encode() + b"\n"
    block = line * 1000
    with path.open("wb") as stream:
        for _ in range(max(size // len(block), 1)):
            stream.write(block)


def measure(path: Path) -> tuple[int, float, float]:
    """Records, seconds and peak resident set (MiB) of reading a file."""
    output = subprocess.run([sys.executable, "-c", CODE, str(path)], stdout=subprocess.PIPE, check=True).stdout
    records, seconds, kibibytes = output.split()
    return int(records), float(seconds), int(kibibytes) / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--gigabytes", type=float, default=1.0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        path = Path(folder) / "records.jsonl"
        path.write_text('{"instruction": "Answer.", "input": "What causes gout?", "output": "Urate."}\n')
        least = measure(path)[2]
        write(path, int(options.gigabytes * 1e9))
        size = path.stat().st_size / 1e9
        records, seconds, peak = measure(path)
    sys.stdout.write(
        f"{size:.2f} GB, {records} records: {seconds:.1f} s ({1000 * size / seconds:.0f} MB/s), peak {peak:.0f} MiB, "
        f"of which {least:.0f} MiB with one record\n"
    )


if __name__ == "__main__":
    main()
