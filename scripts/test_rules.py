"""Proves that each rule can fail, and that it lets pass what is right."""

import re
import subprocess
import unittest
from pathlib import Path

import dependency_rules
import list_features
import workspace_rules

ROOT = Path(__file__).resolve().parent.parent


def package(name, *dependencies, **fields):
    defaults = {"description": "d", "license": "MIT", "readme": "README.md", "rust_version": "1.94",
                "keywords": ["k"], "categories": ["c"], "targets": [{"kind": ["lib"]}],
                "metadata": {"docs": {"rs": {"all-features": True}}}}
    return {"name": name, "dependencies": list(dependencies), "features": {}, "publish": None, **defaults, **fields}


def to(name, kind=None, req=None, path="/somewhere"):
    return {"name": name, "kind": kind, "req": req or ("*" if kind == "dev" else "^0.1"), "path": path}


API = package("cache-api")
ENGINE = package("cache-engine", to("cache-api"), to("cache-backend-memory", "dev"))
MEMORY = package("cache-backend-memory", to("cache-api"), to("cache-conformance", "dev"))
SERIALIZERS = package("cache-serializers", to("cache-api"), to("cache-conformance", "dev"))
ADMIN = package("cache-admin", to("cache-api"), to("cache-engine"), to("cache-backend-memory", "dev"))
SUITE = package("cache-conformance", to("cache-api"), to("cache-engine"))
CLIENT = package("client-reqwest", to("cache-engine"), to("cache-api"), to("cache-backend-memory"), to("cache-serializers"),
                 to("cache-admin"), to("reqwest"))
PROXY = package("cache-proxy", to("client-reqwest"))
TOOL = package("cachectl", to("cache-admin"), to("cache-api"), to("cache-engine"), to("cache-proxy"), to("client-reqwest"))
HOUSE = [API, ENGINE, MEMORY, SERIALIZERS, ADMIN, SUITE, CLIENT, PROXY, TOOL]


class WorkspaceRules(unittest.TestCase):
    def test_the_house_as_drawn_passes(self):
        self.assertEqual(list(workspace_rules.direction(HOUSE)), [])
        self.assertEqual(list(workspace_rules.versions(HOUSE)), [])

    def test_each_edge_against_the_direction_fails(self):
        for name, target, kind in [
            ("cache-api", "cache-engine", None),
            ("cache-api", "cache-conformance", "build"),
            ("cache-engine", "cache-backend-memory", None),
            ("cache-engine", "client-reqwest", None),
            ("cache-backend-sqlite", "cache-engine", None),
            ("cache-backend-sqlite", "cache-backend-memory", None),
            ("cache-backend-sqlite", "cache-conformance", None),
            ("cache-engine", "cache-admin", None),
            ("cache-admin", "cache-backend-memory", None),
            ("cache-admin", "client-reqwest", None),
            ("cache-serializers", "cache-engine", None),
            ("cache-conformance", "cache-serializers", None),
            ("cache-conformance", "cache-backend-memory", None),
            ("cache-conformance", "client-reqwest", "build"),
            ("client-reqwest", "cache-conformance", None),
            ("client-reqwest", "cache-proxy", None),
            ("cache-proxy", "cache-admin", None),
            ("cachectl", "cache-backend-memory", None),
        ]:
            others = [member for member in HOUSE if member["name"] != name]
            faults = list(workspace_rules.direction([*others, package(name, to(target, kind))]))
            self.assertEqual(len(faults), 1, (name, target, faults))
            self.assertIn(f"{name}: may not depend on {target}", faults[0])

    def test_a_crate_without_a_place_fails(self):
        faults = list(workspace_rules.direction([*HOUSE, package("helpers")]))
        self.assertEqual(len(faults), 1, faults)

    def test_versions_between_our_crates_fail(self):
        for wrong in [
            to("cache-api", "dev", req="^0.1"),
            to("cache-api", req="*"),
            to("cache-api", path=None),
        ]:
            faults = list(workspace_rules.versions([API, package("cache-engine", wrong)]))
            self.assertEqual(len(faults), 1, (wrong, faults))

    def test_a_feature_that_no_table_has_fails(self):
        client = package("client-reqwest", features={"default": ["a"], "a": [], "b": []})
        faults = list(workspace_rules.features([client], lambda _: {"README.md": "| `a` | yes | all of it |"}))
        self.assertEqual(len(faults), 1, faults)
        self.assertIn("`b`", faults[0])

    def test_a_feature_that_no_test_is_built_with_fails(self):
        packages = [{"id": "path+client#0.1.0", "name": "client", "features": {"on": [], "off": [], "only-passed-on": ["api/x"]}}]
        nodes = [{"id": "path+client#0.1.0", "features": ["on"]}, {"id": "other", "features": []}]
        self.assertEqual(list(workspace_rules.linted(packages, nodes, lambda package: {"on", "another-crate's"})), [])
        faults = list(workspace_rules.linted(packages, nodes, lambda package: {"on", "off"}))
        self.assertEqual(len(faults), 1)
        self.assertIn("`off`", faults[0])
        self.assertEqual(workspace_rules.WANTED.findall('cfg(all(feature = "x", not(feature = "y")))'), ["x"])

    def test_manifests_that_lack_something_fail(self):
        inherited = {"lints": {"workspace": True}}
        self.assertEqual(list(workspace_rules.manifests([API], lambda _: inherited)), [])
        self.assertEqual(len(list(workspace_rules.manifests([API], lambda _: {}))), 1)
        for lacking in ({"description": None}, {"keywords": []}, {"metadata": None}, {"metadata": {"docs": {"rs": {}}}}):
            faults = list(workspace_rules.manifests([package("cache-api", **lacking)], lambda _: inherited))
            self.assertEqual(len(faults), 1, lacking)
        program = package("cachectl", metadata=None, targets=[{"kind": ["bin"]}])
        self.assertEqual(list(workspace_rules.manifests([program], lambda _: inherited)), [])

    def test_a_package_without_its_licences_fails(self):
        def text(file):
            return (workspace_rules.ROOT / file).read_text(encoding="utf-8")

        self.assertEqual(list(workspace_rules.licences(API, text)), [])
        self.assertEqual(len(list(workspace_rules.licences(API, lambda _: None))), 2)
        self.assertEqual(len(list(workspace_rules.licences(API, lambda _: "another"))), 2)
        self.assertEqual(list(workspace_rules.licences(package("cache-docs", publish=[]), lambda _: None)), [])

    def test_a_backend_without_its_files_fails(self):
        faults = list(workspace_rules.backend_files("backends/x", lambda file: file != "tests/conformance.rs"))
        self.assertEqual(faults, ["backends/x: has no tests/conformance.rs"])

    def test_a_file_of_tests_that_no_program_has_fails(self):
        files = ["tests/main.rs", "tests/flow.rs", "tests/lost.rs"]
        faults = list(workspace_rules.tests_reached("x", ["tests/main.rs"], files, lambda _: "//! lost\nmod flow;\n"))
        self.assertEqual(faults, ["x: tests/lost.rs is neither a `[[test]]` nor a module of one"])

    def test_a_backend_that_nobody_can_choose_fails(self):
        client = package("client-reqwest", features={"x": ["dep:cache-backend-x"]})
        program = package("cachectl", features={"x": ["client-reqwest/x"]})
        text = '#[cfg(feature = "x")] `backends/x/`'
        self.assertEqual(list(workspace_rules.backend_offered("x", [client, program], lambda _: text)), [])
        self.assertEqual(len(list(workspace_rules.backend_offered("x", [client], lambda _: text))), 1)
        self.assertEqual(len(list(workspace_rules.backend_offered("x", [client, program], lambda _: ""))), 4)

    def test_a_policy_that_sees_too_much_fails(self):
        for line in [
            "use crate::store::Store;",
            "use crate::{engine, policy};",
            "let now = SystemTime::now();",
            "tokio::spawn(work);",
            "pub async fn before() {}",
            "use cache_api::{Head, Storage};",
        ]:
            self.assertTrue(list(workspace_rules.policy_sees("x.rs", line)), line)
        for line in ["use crate::policy::Age;", "use super::Age;", "// as SystemTime::now() would", "now: SystemTime"]:
            self.assertEqual(list(workspace_rules.policy_sees("x.rs", line)), [], line)

    def test_a_link_that_leads_nowhere_fails(self):
        pages = {"a.md": "# One `two`, [three](b.md)\n```sh\n# Code\n```\n", "a.rs": ""}
        for link, fault in [
            ("a.md", None),
            ("a.md#one-two-three", None),
            ("a.md#one", "to no heading"),
            ("a.md#code", "to no heading"),
            ("a.rs#L7", None),
            ("#here", None),
            ("#there", "to no heading"),
            ("https://example.com/b.md", None),
            ("cache_api::Storage", None),
            ("b.md", "nowhere"),
        ]:
            text = f"## Here\n[`it`]({link}), `[no]({link}x)`\n```text\n[no]({link}x)\n```\n"
            faults = list(workspace_rules.links("README.md", text, pages.get))
            expected = [f"README.md: the link to {link} leads {fault}"] if fault else []
            self.assertEqual(faults, expected)

    def test_a_row_that_no_test_shows_fails(self):
        sources = {"t.rs": "#[tokio::test]\nasync fn it() {}", "lib.rs": "pub fn it() {}"}
        for row, expected in [("[t](t.rs)", 0), ("[t](t.rs), [l](lib.rs)", 1), ("[d](folder)", 0), ("", 1), ("words", 1)]:
            text = f"| | feature | state | | shown by |\n|---|---|---|---|---|\n| F1 | a | done | [b](b.md) | {row} |"
            self.assertEqual(len(list(workspace_rules.feature_rows(text, sources.get))), expected, row)

    def test_a_trap_without_its_test_fails(self):
        sources = {"t.rs": "fn it() {}\nfn other() {}"}
        head = "# Design\n\n## Which traps are known?\n\n| trap | tests |\n|---|---|\n"
        for row, expected in [
            ("[t](t.rs): `it`, `other`; [t](t.rs): `it`", 0),
            ("[t](t.rs): `it`, `gone`", 1),
            ("[u](u.rs): `it`", 1),
            ("[t](t.rs)", 1),
            ("", 1),
        ]:
            faults = list(workspace_rules.traps(f"{head}| a | {row} |\n", sources.get))
            self.assertEqual(len(faults), expected, (row, faults))
        self.assertEqual(len(list(workspace_rules.traps("# Design\n", sources.get))), 1)


class DependencyRules(unittest.TestCase):
    def test_licence_expressions(self):
        for expression, allowed in [
            ("MIT", True),
            ("GPL-3.0-only", False),
            ("", False),
            ("MIT OR GPL-3.0-only", True),
            ("GPL-3.0-only/MIT", True),
            ("MIT AND GPL-3.0-only", False),
            ("(MIT OR Apache-2.0) AND Unicode-3.0", True),
            ("(MIT OR Apache-2.0) AND GPL-3.0-only", False),
            ("GPL-3.0-only OR MIT AND LGPL-2.1-only", False),
            ("Apache-2.0 WITH LLVM-exception", True),
            ("Apache-2.0 WITH Some-exception", False),
            ("MIT OR", False),
            ("(MIT", False),
            ("MIT Apache-2.0", False),
        ]:
            self.assertEqual(bool(dependency_rules.is_allowed(expression)), allowed, expression)

    def test_wrong_crates_fail(self):
        ring = {"name": "ring", "version": "0.17.0", "license": None, "rust_version": "1.100"}
        good = {"name": "good", "version": "1.0.0", "license": "ISC", "rust_version": None}
        self.assertEqual(len(list(dependency_rules.licences([ring, good]))), 1)
        self.assertEqual(len(list(dependency_rules.forbidden([ring, good]))), 1)
        self.assertEqual(len(list(dependency_rules.rust_versions([ring, good], "1.94"))), 1)
        here, there = {**good, "source": None}, {**good, "source": "git+https://git.test/good"}
        self.assertEqual(len(list(dependency_rules.sources([here, there]))), 1)
        self.assertEqual(list(dependency_rules.rust_versions([{**ring, "rust_version": "1.94.0"}], "1.94")), [])


class Features(unittest.TestCase):
    def test_what_is_only_passed_on_is_checked_where_it_goes(self):
        packages = [
            {"name": "api", "features": {"default": [], "json": ["dep:json"], "named": []}},
            {"name": "client", "features": {
                "default": ["named", "passed"], "all": ["passed", "both"], "named": ["api/json"], "passed": ["api/json"],
                "both": ["api/json", "api/named"], "theirs": ["reqwest/json"], "weak": ["api?/json"],
                "optional": ["dep:api"], "mixed": ["passed", "theirs"]}},
        ]
        listed = list(list_features.pairs(packages, lambda package: {"named"}))
        self.assertEqual([feature for name, feature in listed if name == "api"], ["-", "json", "named"])
        self.assertEqual([feature for name, feature in listed if name == "client"],
                         ["-", "default", "mixed", "named", "optional", "theirs", "weak"])

    def test_sources_name_features(self):
        client = {"manifest_path": str(ROOT / "client-reqwest/Cargo.toml")}
        self.assertIn("sqlite", list_features.named(client))
        self.assertNotIn("charset", list_features.named(client))


class Recipes(unittest.TestCase):
    def test_each_gate_has_a_recipe(self):
        gates = subprocess.run([ROOT / "scripts/gate"], check=True, stdout=subprocess.PIPE, text=True)
        names = [line.split()[0] for line in gates.stdout.splitlines()]
        recipes = re.findall(r"^\s+scripts/gate ([\w-]+)$", (ROOT / "justfile").read_text(encoding="utf-8"), re.M)
        self.assertEqual(sorted(recipes), sorted(names))

    def test_contributing_says_how_long_each_recipe_takes(self):
        recipes = re.findall(r"^([\w-]+):", (ROOT / "justfile").read_text(encoding="utf-8"), re.M)
        contributing = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
        for recipe in set(recipes) - {"default"}:
            row = re.search(rf"^\| `(?:just )?{recipe}`.*\| ([^|]+) \|$", contributing, re.M)
            self.assertTrue(row and re.search(r"\d+ (s|min)|minutes|hour", row[1]), recipe)


if __name__ == "__main__":
    unittest.main()
