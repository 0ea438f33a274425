"""Checks that what is packaged compiles: all crates together from what their packages hold, with all features.

What a package can lack is a file, and with all features each is asked for. `cargo package` builds every package itself,
with its default features alone and with most of the dependencies once more; whether a crate compiles without what the
others turn on is told by the gate `features`. The dependencies are those that `doc` has checked."""

import json
import pathlib
import shutil
import subprocess
import sys
import tarfile

metadata = json.loads(
    subprocess.run(
        ["cargo", "metadata", "--locked", "--no-deps", "--format-version", "1"], check=True, stdout=subprocess.PIPE
    ).stdout
)
target = pathlib.Path(metadata["target_directory"])
# `publish` is empty for what stays here.
packages = {p["name"]: f"{p['name']}-{p['version']}" for p in metadata["packages"] if p["publish"] != []}

unpacked = target / "package" / "unpacked"
shutil.rmtree(unpacked, ignore_errors=True)
unpacked.mkdir(parents=True)
for directory in packages.values():
    with tarfile.open(target / "package" / f"{directory}.crate") as archive:
        archive.extractall(unpacked, filter="data")

# They find each other here: in a registry there are none of them yet.
manifest = ["[workspace]", 'resolver = "3"', f"members = {json.dumps(list(packages.values()))}", "[patch.crates-io]"]
manifest += [f"{name} = {{ path = {json.dumps(directory)} }}" for name, directory in packages.items()]
(unpacked / "Cargo.toml").write_text("\n".join(manifest) + "\n")
shutil.copy(pathlib.Path(metadata["workspace_root"]) / "Cargo.lock", unpacked / "Cargo.lock")

# What was in the lock file is here already: nothing newer may come in its place.
command = ["cargo", "check", "--quiet", "--offline", "--keep-going", "--workspace", "--all-features", "--target-dir", str(target)]
if subprocess.run(command, cwd=unpacked, check=False).returncode != 0:
    sys.exit("not all of them compile as they are packaged")
