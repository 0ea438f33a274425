"""The rules of the house that no compiler checks.

Run alone it checks this workspace: which crate may depend on which, what a manifest and a backend's folder
must have, what the policy may not see, and that what is said to be shown by a test names one. `test_rules.py` proves that each rule can fail.
"""

import json
import os
import re
import subprocess
import sys
import tomllib
from fnmatch import fnmatchcase
from pathlib import Path

from list_features import named

ROOT = Path(__file__).resolve().parent.parent

# Which workspace crates a crate may depend on, by normal and build dependencies. Development dependencies are
# free: the engine is tested with the memory backend, each backend with the conformance suite.
HOUSE = {
    "cache-api": [],
    "cache-engine": ["cache-api"],
    "cache-backend-*": ["cache-api"],
    "cache-serializers": ["cache-api"],
    "cache-tower": ["cache-api", "cache-engine"],
    "cache-admin": ["cache-api", "cache-engine"],
    "cache-conformance": ["cache-api", "cache-engine"],
    "cache-docs": [],
    "client-reqwest": ["cache-admin", "cache-api", "cache-engine", "cache-backend-*", "cache-serializers"],
    "cache-proxy": ["client-reqwest"],
    "cachectl": ["cache-admin", "cache-api", "cache-engine", "cache-proxy", "cache-serializers", "client-reqwest"],
}

# What every backend's folder has, so that knowing one is knowing all.
BACKEND_FILES = ["README.md", "src/lib.rs", "src/config.rs", "src/storage.rs", "tests/conformance.rs"]

# Where a crate has Rust, and how it names a feature with which it has more.
RUST = ["src", "tests", "examples", "benches"]
WANTED = re.compile(r'(?<!not\()feature\s*=\s*"([^"]+)"')

# Folders whose pages are not ours.
BUILT = {".git", "book", "node_modules", "target"}

LICENCES = ["LICENSE-APACHE", "LICENSE-MIT"]

# The policy is a pure function of (request, stored, now): it sees no storage, no network, no clock, no runtime.
POLICY = "cache-engine/src/policy"
POLICY_MAY_NOT_SEE = re.compile(
    r"\bcrate::(?!policy\b)[\w{]+|\bstd::(?:net|fs|io|thread|process)\b|\b(?:tokio|tracing|futures_util)::"
    r"|\bStorage\b|\b(?:SystemTime|Instant)::now\b|\basync fn\b|\.await\b"
)


def direction(packages):
    """Dependencies run one way."""
    members = {package["name"] for package in packages}
    for package in packages:
        name = package["name"]
        place = next((pattern for pattern in HOUSE if fnmatchcase(name, pattern)), None)
        if place is None:
            yield f"{name}: has no place in the house; give it one in HOUSE ({Path(__file__).name})"
            continue
        for dependency in package["dependencies"]:
            target = dependency["name"]
            if target not in members or dependency["kind"] == "dev":
                continue
            if not any(fnmatchcase(target, allowed) for allowed in HOUSE[place]):
                yield f"{name}: may not depend on {target} (allowed: {', '.join(HOUSE[place]) or 'none'})"


def versions(packages):
    """Between our own crates, a development dependency has a path and no version, any other has both.

    A version in a development dependency makes a cycle that keeps the crates from being packaged.
    """
    members = {package["name"] for package in packages}
    for package in packages:
        for dependency in package["dependencies"]:
            if dependency["name"] not in members:
                continue
            edge = f"{package['name']}: the dependency on {dependency['name']}"
            if not dependency.get("path"):
                yield f"{edge} has no path"
            if dependency["kind"] == "dev" and dependency["req"] != "*":
                yield f"{edge} is for development: give it its path and no version"
            if dependency["kind"] != "dev" and dependency["req"] == "*":
                yield f"{edge} has no version, without which it cannot be published"


def features(packages, readmes_of):
    """Each feature is in the feature table of its crate's README."""
    for package in packages:
        for file, readme in readmes_of(package).items():
            for feature in package["features"]:
                if feature != "default" and f"`{feature}`" not in readme:
                    yield f"{package['name']}: the feature `{feature}` is not in the table of {file}"


def linted(packages, nodes, wanted):
    """Each feature that a crate's Rust wants is on when the tests of the workspace are built: CI lints what they are built from."""
    built = {node["id"]: set(node["features"]) for node in nodes}
    for package in packages:
        for feature in sorted(wanted(package) & set(package["features"]) - built[package["id"]]):
            yield (f"{package['name']}: what needs the feature `{feature}` is not built for the tests, and so not linted; "
                   "turn it on in a development dependency")


def manifests(packages, manifest_of):
    """What each manifest takes from the workspace."""
    for package in packages:
        manifest = manifest_of(package)
        if manifest.get("lints") != {"workspace": True}:
            yield f"{package['name']}: its manifest does not inherit the lints (`[lints] workspace = true`)"
        if package["publish"] == []:
            continue
        for field in ("description", "license", "readme", "rust_version", "keywords", "categories"):
            if not package[field]:
                yield f"{package['name']}: its manifest has no {field}"
        is_library = any("lib" in target["kind"] for target in package["targets"])
        if is_library and not ((package["metadata"] or {}).get("docs") or {}).get("rs", {}).get("all-features"):
            yield f"{package['name']}: docs.rs would leave features out (`[package.metadata.docs.rs] all-features = true`)"


def licences(package, read):
    """Each package that is published has the texts of its licence: it is read without this repository, too."""
    if package["publish"] == []:
        return
    for file in LICENCES:
        if read(file) is None:
            yield f"{package['name']}: has no {file}; link it: ln -s …/{file}"
        elif read(file) != (ROOT / file).read_text(encoding="utf-8"):
            yield f"{package['name']}: its {file} is not the workspace's"


def backend_files(folder, exists):
    """Every backend has the same file names."""
    for file in BACKEND_FILES:
        if not exists(file):
            yield f"{folder}: has no {file}"


def tests_reached(name, programs, files, text_of):
    """Each file of tests is a program of its manifest or a module of one: a file that is neither would never run."""
    for file in sorted(files):
        reached = file in programs or any(
            re.search(rf"^mod {Path(file).stem};", text_of(program), re.MULTILINE) for program in programs
        )
        if not reached:
            yield f"{name}: {file} is neither a `[[test]]` nor a module of one"


def backend_offered(name, packages, read):
    """Every backend can be had by client and operator, and is told of."""
    features = {package["name"]: package["features"] for package in packages}
    for crate, needs in (("client-reqwest", f"dep:cache-backend-{name}"), ("cachectl", f"client-reqwest/{name}")):
        if needs not in features.get(crate, {}).get(name, []):
            yield f"backends/{name}: {crate} has no feature `{name}` with {needs}"
    for file in ("client-reqwest/src/lib.rs", "client-reqwest/src/storage.rs", "client-reqwest/src/storage/url.rs"):
        if f'feature = "{name}"' not in read(file):
            yield f"backends/{name}: {file} has nothing for the feature `{name}`"
    if f"`backends/{name}/`" not in read("README.md"):
        yield f"backends/{name}: README.md has no line for its crate"


def policy_sees(file, text):
    """What a file of the policy sees that it may not."""
    for number, line in enumerate(text.splitlines(), 1):
        code = line.split("//", 1)[0]
        for found in POLICY_MAY_NOT_SEE.finditer(code):
            yield f"{file}:{number}: the policy may not see `{found.group()}`"


LINK = re.compile(r"\[([^\]]*)\]\(([^)\s]+)\)")
TEST = re.compile(r"^\s*(?:#\[(?:\w+::)?test\b|cases!\[|fn main\(|(?:pub\(crate\) )?fn trials\()|proptest!", re.MULTILINE)


def cells(line):
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def prose(text):
    """A page of Markdown without its blocks of code and what stands in backticks."""
    return re.sub(r"`[^`\n]*`", "", re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL))


def anchors(text):
    """The anchors of a page's headings, as forges and mdBook make them."""
    headings = re.findall(r"^#+ +(.+?) *$", re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", LINK.sub(r"\1", heading)).lower().replace(" ", "-") for heading in headings}


def links(file, text, read):
    """Each link to a file leads to one, and to a heading that it has. `read` gives a file's text, `None` where none is."""
    for _, target in LINK.findall(prose(text)):
        # Of the web, or a path that rustdoc resolves.
        if "://" in target or "::" in target:
            continue
        path, _, anchor = target.partition("#")
        found = read(path) if path else text
        if found is None:
            yield f"{file}: the link to {target} leads nowhere"
        elif anchor and (path.endswith(".md") or not path) and anchor not in anchors(found):
            yield f"{file}: the link to {target} leads to no heading"


def feature_rows(text, read):
    """Each row of the feature tables is shown by tests."""
    for line in text.splitlines():
        if not re.match(r"\| [FN]\d+ \|", line):
            continue
        row, shown = cells(line)[0], LINK.findall(cells(line)[-1])
        if not shown:
            yield f"README.md: no test shows {row}"
        for _, path in shown:
            source = read(path)
            if source is not None and not TEST.search(source):
                yield f"README.md: {row} is said to be shown by {path}, which has no test"


def traps(text, read):
    """Each trap in the table of DESIGN.md names tests that are where they are said to be."""
    section = text.split("\n## Which traps are known", 1)[-1].split("\n## ", 1)[0]
    rows = [cells(line) for line in section.splitlines() if line.startswith("| ")][1:]
    if not rows:
        yield "DESIGN.md: no table of traps; where did it go?"
    for trap, tests in rows:
        named = [(path, name) for _, path, names in re.findall(r"\[([^\]]*)\]\(([^)]+)\): ((?:`\w+`(?:, )?)+)", tests)
                 for name in re.findall(r"\w+", names)]
        if not named:
            yield f"DESIGN.md: no test of the trap: {trap}"
        for path, name in named:
            if not re.search(rf"\bfn {name}\(", read(path) or ""):
                yield f"DESIGN.md: {path} has no test {name}"


def main():
    metadata = subprocess.run(
        ["cargo", "metadata", "--locked", "--format-version", "1"],
        cwd=ROOT, check=True, stdout=subprocess.PIPE,
    )
    metadata = json.loads(metadata.stdout)
    packages = [package for package in metadata["packages"] if package["id"] in metadata["workspace_members"]]

    def manifest(package):
        return tomllib.loads(Path(package["manifest_path"]).read_text(encoding="utf-8"))

    def wanted(package):
        required = {feature for target in package["targets"] for feature in target.get("required-features", [])}
        return required | named(package, RUST, WANTED)

    def readmes(package):
        readme = Path(package["manifest_path"]).with_name("README.md")
        own = {f"{package['name']}'s README.md": readme.read_text(encoding="utf-8") if readme.is_file() else ""}
        if package["name"] == "client-reqwest":
            own["the workspace's README.md"] = (ROOT / "README.md").read_text(encoding="utf-8")
        return own

    faults = [
        *direction(packages),
        *versions(packages),
        *features(packages, readmes),
        *linted(packages, metadata["resolve"]["nodes"], wanted),
        *manifests(packages, manifest),
    ]
    for package in packages:
        folder = Path(package["manifest_path"]).parent
        faults += licences(package, lambda file: (folder / file).read_text(encoding="utf-8") if (folder / file).is_file() else None)
    for folder in sorted(path.parent for path in (ROOT / "backends").glob("*/Cargo.toml")):
        faults += backend_files(folder.relative_to(ROOT), lambda file: (folder / file).is_file())
        faults += backend_offered(folder.name, packages, lambda file: (ROOT / file).read_text(encoding="utf-8"))

    for package in packages:
        folder = Path(package["manifest_path"]).parent
        programs = [test["path"] for test in manifest(package).get("test", [])]
        files = [str(path.relative_to(folder)) for path in folder.glob("tests/*.rs")]
        faults += tests_reached(
            package["name"], programs, files, lambda file: (folder / file).read_text(encoding="utf-8")
        )

    def read(path):
        return (ROOT / path).read_text(encoding="utf-8") if (ROOT / path).suffix == ".rs" and (ROOT / path).is_file() else None

    def page(path):
        if path.suffix == ".md":
            return path.read_text(encoding="utf-8") if path.is_file() else None
        return "" if path.exists() else None

    for folder, folders, files in os.walk(ROOT):
        folder = Path(folder)
        folders[:] = sorted(set(folders) - BUILT)
        for file in sorted(name for name in files if name.endswith(".md")):
            text = (folder / file).read_text(encoding="utf-8")
            faults += links((folder / file).relative_to(ROOT), text, lambda path: page(folder / path))
    faults += feature_rows((ROOT / "README.md").read_text(encoding="utf-8"), read)
    faults += traps((ROOT / "DESIGN.md").read_text(encoding="utf-8"), read)
    policy = sorted((ROOT / POLICY).rglob("*.rs"))
    if not policy:
        faults.append(f"{POLICY}: no policy there; where did it go?")
    for file in policy:
        faults += policy_sees(file.relative_to(ROOT), file.read_text(encoding="utf-8"))

    for fault in faults:
        print(fault, file=sys.stderr)
    if faults:
        sys.exit(1)
    print(f"{len(packages)} crates and {len(policy)} files of the policy keep the rules")


if __name__ == "__main__":
    main()
