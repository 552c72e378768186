# Commands of development, for https://just.systems (`pip install rust-just`). `just` lists them; docs/development.md says
# more. `./scripts/test` runs everything, without just.

set positional-arguments
set shell := ["bash", "-cu"]

[private]
default:
    @just --list --unsorted

# Builds and runs the gateway on http://127.0.0.1:3000
up *arguments:
    ./scripts/up "$@"

# Every check and test; --full: the harsh host whole
test *arguments:
    ./scripts/test "$@"

# One pure crate, such as `just crate llm`
crate name *arguments:
    cargo test --locked --all-features -p spillway-{{ name }} "${@:2}"

# Format and lints, as CI has them
lint:
    cargo fmt --all --check
    cargo clippy --release --locked --all-targets --all-features --workspace -- -D warnings

# Histories on virtual time, such as `just simulate --seed 12 --trace`
simulate *arguments='--seeds 1..2001':
    cargo run --locked -p spillway-sim -- {{ arguments }}

# Broken input for every parser
fuzz seconds='60':
    cargo run --locked -p spillway-fuzz -- --seconds {{ seconds }}

# The components and the host, as the end-to-end tests want them
build:
    cargo build --profile wasm --target wasm32-wasip2 --locked -p spillway-component-ingress -p spillway-component-model -p spillway-component-rag -p spillway-component-console -p spillway-trap
    cargo build --release --locked -p spillway-host

# End to end, all of it or one target and name: `just e2e ingress streams`
e2e target='' name='': build
    cargo test --release --locked --no-fail-fast -p spillway-tests {{ if target == '' { '' } else { '--test ' + target } }} {{ name }}

# The same on the least friendly host
e2e-harsh target='' name='': build
    GATEWAY_HOST=harsh cargo test --release --locked --no-fail-fast -p spillway-tests {{ if target == '' { '' } else { '--test ' + target } }} {{ name }}

# The same on a real Spin
e2e-spin spin target='' name='': build
    GATEWAY_HOST=spin SPIN_BIN={{ spin }} cargo test --release --locked --no-fail-fast -p spillway-tests {{ if target == '' { '' } else { '--test ' + target } }} {{ name }}

# Writes golden files anew, of telemetry, of dialects, of the configuration's messages: look at what has changed
golden:
    UPDATE_GOLDEN=1 cargo test --locked -p spillway-telemetry
    UPDATE_GOLDEN=1 cargo test --locked -p spillway-llm --test dialects
    UPDATE_MESSAGES=1 cargo test --locked --all-features -p spillway-config --test messages

# The JSON Schema of gateway.yaml, after a change of the configuration's types
schema:
    UPDATE_SCHEMA=1 cargo test --locked --all-features -p spillway-config --test schema

# CPU a request of two builds: folders with spin.toml and target/
compare old new:
    bench/old_and_new.py {{ old }} {{ new }}
