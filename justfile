# What the README names, shorter. `just` alone runs the tests.

# lint, types and tests, with their own set-up
test *args:
    ./test.sh {{args}}

# lint and types
lint:
    .venv/bin/ruff check .
    .venv/bin/ruff format --check .
    .venv/bin/mypy

# repair what a tool can
fix:
    .venv/bin/ruff check --fix .
    .venv/bin/ruff format .

# every benchmark that needs no arguments
bench:
    for script in benchmarks/*.py; do echo "== $script"; .venv/bin/python "$script" || exit 1; done

# the main job, on music made on the spot
demo:
    ./volna.sh demo
