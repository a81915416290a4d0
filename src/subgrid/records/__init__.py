"""The data set: equal-length TFRecord rows in shards, a manifest, statistics; built in parts, read at random."""
