"""Checks that what is packaged compiles: each crate from what its package holds, with its default features alone.

`cargo package` builds every package itself, and with it most of the dependencies once more; to check them finds the
same, but for what shows only when code is generated and linked, in a fraction of the time."""

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

failed = []
for name, directory in packages.items():
    print(f"checking {directory}", flush=True)
    # What was in the lock file is here already: nothing newer may come in its place.
    command = ["cargo", "check", "--quiet", "--offline", "--package", name, "--target-dir", str(target)]
    if subprocess.run(command, cwd=unpacked, check=False).returncode != 0:
        failed.append(directory)
if failed:
    sys.exit("these do not compile as they are packaged: " + ", ".join(failed))
