# One recipe per gate. The commands are in scripts/gate, which works without just as well.

# List the recipes.
default:
    @just --list --unsorted

# All gates on this machine, as CI runs them.
ci:
    bash .ci/run

# rustfmt changes nothing.
fmt:
    scripts/gate fmt

# Dependencies between our crates run one way; what a crate and a backend must have.
rules:
    scripts/gate rules

# Licences, minimum Rust and forbidden crates among all dependencies.
licences:
    scripts/gate licences

# No misspelt words.
typos:
    scripts/gate typos

# clippy without a warning, every target, all features.
lint:
    scripts/gate lint

# clippy without a warning, each crate with none of its features and with each alone that changes its code.
features:
    scripts/gate features

# rustdoc without a warning, all features.
doc:
    scripts/gate doc

# How much of what each crate makes public is documented.
doc-coverage:
    scripts/doc_coverage

# Every crate can be packaged, and what is packaged compiles.
package:
    scripts/gate package

# Every test, example, doctest and conformance trial.
test:
    scripts/gate test

# The tests again under cargo-nextest.
nextest:
    scripts/gate nextest

# The example of the README, twice.
quickstart:
    scripts/gate quickstart

# What a storage URL says whose feature is off.
without:
    scripts/gate without

# The example of several processes over one Redis.
replicas:
    scripts/gate replicas

# What a memory hit costs, in instructions, against what is recorded.
instructions:
    scripts/gate instructions

# What reads from stores and networks, over its seeds and what is near them; FUZZ_SECONDS for each target.
fuzz:
    scripts/gate fuzz

# The public suite of cache tests, in both modes; CACHE_TESTS_DIR names a checkout newer than the release on npm.
cache-tests:
    scripts/gate cache-tests
