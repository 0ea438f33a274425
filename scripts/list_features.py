"""Prints each crate of the workspace with each of its features that changes its code, one pair a line; `-` stands for none
of them.

A feature that the crate's own sources do not name, and that turns on nothing but features of our other crates, is left out:
the crate is the same code with it as with none, and the pair of the other crate tells what the feature does there."""

import json
import pathlib
import re
import subprocess

NAMED = re.compile(r'feature\s*=\s*"([^"]+)"')


def named(package, folders=("src",), how=NAMED):
    """The features that the crate's own sources name."""
    crate = pathlib.Path(package["manifest_path"]).parent
    files = (file for folder in folders for file in (crate / folder).rglob("*.rs"))
    return {name for file in files for name in how.findall(file.read_text())}


def passed_on(feature, features, named_here, ours):
    """Whether `feature` only passes on to features of `ours`, and this crate's sources name neither it nor what it turns on."""
    if feature in named_here:
        return False
    for item in features[feature]:
        other, slash, _ = item.partition("/")
        if slash and other not in ours:
            return False
        if not slash and (item not in features or not passed_on(item, features, named_here, ours)):
            return False
    return True


def pairs(packages, named_by=named):
    """Each crate with `-` and with each feature to be checked."""
    ours = {package["name"] for package in packages}
    for package in packages:
        features, named_here = package["features"], named_by(package)
        yield package["name"], "-"
        for feature in sorted(features):
            if not passed_on(feature, features, named_here, ours):
                yield package["name"], feature


if __name__ == "__main__":
    metadata = subprocess.run(
        ["cargo", "metadata", "--locked", "--no-deps", "--format-version", "1"], check=True, stdout=subprocess.PIPE
    )
    for name, feature in pairs(json.loads(metadata.stdout)["packages"]):
        print(name, feature)
