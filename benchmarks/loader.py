"""Shuffled batches from the same shards: subgrid, tf.data in its fastest and its common form, numpy from memory.

    python benchmarks/loader.py DATASET                 a data set, in an environment that has TensorFlow
    python benchmarks/loader.py DATASET --no-tensorflow

The fastest form of tf.data shuffles serialised rows and parses a batch at a time; the common form parses row by row.
numpy gathers the same number of rows, at random, from one float32 array in memory. Everything is warm; ways alternate.
"""

import argparse
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from machine import alternate, describe, summary
from subgrid.records.reader import Dataset, StreamSettings

BATCH = 1024
_BUFFER = 16_384  # rows of tf.data's shuffle: a window of it


def rate(batches: Iterator, count: int) -> float:
    """Rows per second over ``count`` batches, after a few to warm up."""
    for _ in range(8):
        next(batches)
    start = time.perf_counter()
    for _ in range(count):
        next(batches)
    return count * BATCH / (time.perf_counter() - start)


def ours(dataset: Dataset, count: int) -> Callable[[], float]:
    def way() -> float:
        with dataset.stream("training", StreamSettings(batch=BATCH)) as stream:
            return rate(stream, count)

    return way


def from_memory(dataset: Dataset, count: int) -> Callable[[], float]:
    chunks = [np.concatenate([batch.inputs, batch.targets], axis=1) for batch in dataset.scan("training", 4096)]
    rows = np.concatenate(chunks)
    chosen = np.random.default_rng(0)

    def batches() -> Iterator[np.ndarray]:
        while True:
            for places in np.array_split(chosen.permutation(len(rows)), max(1, len(rows) // BATCH)):
                yield rows[places[:BATCH]]

    return lambda: rate(batches(), count)


def with_tensorflow(dataset: Dataset, count: int, fastest: bool) -> Callable[[], float]:
    import tensorflow as tf

    names = [str(dataset.folder / "shards" / shard.name) for shard in dataset.shards("training").shards]
    features = {name: tf.io.FixedLenFeature([], tf.string) for name in ("inputs", "targets", "row", "column", "time")}
    kinds = {"inputs": tf.float32, "targets": tf.float32, "row": tf.int64, "column": tf.int32, "time": tf.int64}

    def decoded(parsed: dict) -> dict:
        return {name: tf.io.decode_raw(parsed[name], kind) for name, kind in kinds.items()}

    records = tf.data.TFRecordDataset(names, num_parallel_reads=tf.data.AUTOTUNE).repeat()
    if fastest:
        data = records.shuffle(_BUFFER).batch(BATCH, drop_remainder=True)
        data = data.map(lambda rows: decoded(tf.io.parse_example(rows, features)), tf.data.AUTOTUNE)
    else:
        data = records.map(lambda row: decoded(tf.io.parse_single_example(row, features)), tf.data.AUTOTUNE)
        data = data.shuffle(_BUFFER).batch(BATCH, drop_remainder=True)
    data = data.prefetch(tf.data.AUTOTUNE)
    return lambda: rate(iter(data), count)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--no-tensorflow", action="store_true")
    arguments = parser.parse_args()
    dataset = Dataset.open(arguments.dataset)
    print(describe("numpy", "google-crc32c", "tensorflow-cpu"))
    print(f"{dataset.rows('training'):,} rows in {len(dataset.shards('training').shards)} shards, batches of {BATCH}, "
          "warm, shuffled")  # fmt: skip
    ways = {"numpy, one array in memory": from_memory(dataset, 300), "subgrid": ours(dataset, 600)}
    if not arguments.no_tensorflow:
        ways["tf.data, fastest form"] = with_tensorflow(dataset, 150, fastest=True)
        ways["tf.data, common form"] = with_tensorflow(dataset, 40, fastest=False)
    results = alternate(ways, arguments.repeats)
    baseline = sorted(results["subgrid"])[len(results["subgrid"]) // 2]
    for name, rates in results.items():
        print(summary(name, rates, baseline, "rows/s") + " of subgrid's")


if __name__ == "__main__":
    main()
