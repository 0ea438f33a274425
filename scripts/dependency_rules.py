"""What other people's crates must keep to: licence, source, minimum Rust version, and those that must not be there.

Run alone it checks what this workspace is built from, on every target and with every feature, tests included, by the lists of
`deny.toml`. `test_rules.py` proves that each rule can fail. Advisories are not checked: their database is not in the registry.
"""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

DENY = tomllib.loads((ROOT / "deny.toml").read_text(encoding="utf-8"))

LICENCES = set(DENY["licenses"]["allow"])

# A member of the workspace has no source.
SOURCES = {None, *(f"registry+{registry}" for registry in DENY["sources"]["allow-registry"])}

FORBIDDEN = {ban["crate"]: ban["reason"] for ban in DENY["bans"]["deny"]}


def is_allowed(expression):
    """Whether an SPDX expression can be satisfied with the allowed licences alone."""
    # Old manifests write `MIT/Apache-2.0`.
    tokens = re.findall(r"[()]|[^\s()]+", expression.replace("/", " OR "))

    def alternatives():
        allowed = conjunction()
        while tokens and tokens[0] == "OR":
            tokens.pop(0)
            # Both sides are read, whatever the first one says.
            allowed = conjunction() or allowed
        return allowed

    def conjunction():
        allowed = licence()
        while tokens and tokens[0] == "AND":
            tokens.pop(0)
            allowed = licence() and allowed
        return allowed

    def licence():
        token = tokens.pop(0)
        if token == "(":
            allowed = alternatives()
            tokens.pop(0)
            return allowed
        if tokens and tokens[0] == "WITH":
            token = f"{token} {tokens.pop(0)} {tokens.pop(0)}"
        return token in LICENCES

    try:
        return alternatives() and not tokens
    except IndexError:
        return False


def licences(crates):
    """Every crate can be used under an allowed licence."""
    for crate in crates:
        if not is_allowed(crate["license"] or ""):
            yield f"{crate['name']} {crate['version']}: its licence is not allowed: {crate['license'] or 'none stated'}"


def forbidden(crates):
    """None of these is there."""
    for crate in crates:
        if crate["name"] in FORBIDDEN:
            yield (
                f"{crate['name']} {crate['version']}: must not be there ({FORBIDDEN[crate['name']]}); "
                f"`cargo tree --workspace --all-features --target all -i {crate['name']}` shows who wants it"
            )


def sources(crates):
    """Every crate is ours or from crates.io."""
    for crate in crates:
        if crate["source"] not in SOURCES:
            yield f"{crate['name']} {crate['version']}: comes from {crate['source']}, not from crates.io"


def rust_versions(crates, ours):
    """No crate needs a newer Rust than we promise."""
    for crate in crates:
        theirs = crate["rust_version"]
        if theirs and release(theirs) > release(ours):
            yield f"{crate['name']} {crate['version']}: needs Rust {theirs}, we promise {ours}"


def release(version):
    """`1.94` and `1.94.0` are one release."""
    major, minor, *rest = map(int, version.split("."))
    return major, minor, *(rest or [0])


def cargo(*arguments):
    command = ["cargo", *arguments, "--locked", "--all-features"]
    return subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout


def main():
    metadata = json.loads(cargo("metadata", "--format-version", "1"))
    # `cargo metadata` also names crates that only a disabled feature of another crate would bring in.
    tree = cargo("tree", "--workspace", "--target", "all", "--edges", "normal,build,dev", "--prefix", "none",
                 "--format", "{p}")
    built = {tuple(line.split()[:2]) for line in tree.splitlines() if line}
    crates = [crate for crate in metadata["packages"] if (crate["name"], f"v{crate['version']}") in built]
    members = set(metadata["workspace_members"])
    ours = min((crate["rust_version"] for crate in crates if crate["id"] in members), key=release)

    faults = [*licences(crates), *forbidden(crates), *sources(crates), *rust_versions(crates, ours)]
    for fault in faults:
        print(fault, file=sys.stderr)
    if faults:
        sys.exit(1)
    print(f"{len(crates)} crates keep the rules; none needs a Rust newer than {ours}")


if __name__ == "__main__":
    main()
