"""Prints each crate of the workspace with each of its features, one pair a line; `-` stands for none of them."""

import json
import subprocess

metadata = subprocess.run(
    ["cargo", "metadata", "--locked", "--no-deps", "--format-version", "1"], check=True, stdout=subprocess.PIPE
)
for package in json.loads(metadata.stdout)["packages"]:
    for feature in ["-", *sorted(package["features"])]:
        print(package["name"], feature)
