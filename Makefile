# Slipway's commands. `make` alone lists them.
SHELL := /bin/bash
.DEFAULT_GOAL := help

# The Python that makes the virtual environments; tools/setup.py checks its version and says what to install.
PYTHON ?= $(or $(shell command -v python3.11),$(shell command -v python3))
VENV := .venv/bin
# Images of Python set it. Then each of the hundreds of processes that make starts would compile all of Slipway again.
unexport PYTHONDONTWRITEBYTECODE

# The answer to the demo's approval: empty waits for a person, yes approves as alice.
APPROVE ?=
# Which of the lab's two models the demo releases: iris-model, or iris-forest in a container image of its own.
MODEL ?=
# A release of an earlier demo to come back to.
RUN ?=
# Not empty: also deploys what the notebooks of the labs need.
LABS ?=
# The package's templates: of an account's set-up, and of endpoints.
SET_UP_TEMPLATES := plugins/slipway/command/cfn
ENDPOINT_TEMPLATE := plugins/slipway/deployment/endpoint.yaml

# How many processes `make chaos` hits, and the seed of an earlier run to repeat its choices.
RUNS ?= 10
SEED ?=
# How many inputs `make generated` makes, in total.
EXAMPLES ?= 10000
# The folder for the pictures of `make tour`.
PICTURES ?= pictures
# The load for an endpoint: STAGES of CONCURRENCY:REQUESTS, or a RATE per second for SECONDS; labelled DATA; a VARIANT.
ENDPOINT ?=
STAGES ?=
RATE ?=
SECONDS ?=
DATA ?=
VARIANT ?=
# More arguments for pytest or the load engine, for instance: make test ARGS="-k zip"
ARGS ?=

# Most tests wait for the local AWS, so there are more processes than cores; a file's tests share its fixtures. The order is
# that of tests/conftest.py: pytest-xdist's own begins with the files that have most tests, and ends with the longest.
PARALLEL ?= -n 4 --dist loadfile --no-loadscope-reorder
# Where a run can be made shorter.
SLOWEST = --durations=20 --durations-min=10
# What failed last is not kept in the file of the other tests, which may run at the same time.
E2E_CACHE = -o cache_dir=.pytest_cache/e2e
# Each of the two processes starts an Airflow of its own and mostly waits for it. What takes longest begins first.
E2E = $(E2E_CACHE) -n 2 --dist loadfile --no-loadscope-reorder tests/faults/test_chaos.py tests/e2e tests/local_aws/test_web_pages.py tests/local_aws/console/test_browser.py
# A machine that stands still for a second can fail a test that waits for a browser or a process. A few that failed run
# once more, one after the other, and are named at the end; those of tests/faults, which count what is lost, do not.
AGAIN = || { test $$? -eq 1 && $(VENV)/python -m pytest $(1) --second-try --last-failed --last-failed-no-failures none
# Where the tests that run beside the end-to-end ones write until they have ended.
BESIDE_LOG = .pytest_cache/test-others.log
# The tests that start no server.
CHECK = -m "not local_aws and not e2e" tests/unit tests/dags tests/docs tests/tools
# The tests that make their own inputs; in the other runs they make a few each.
GENERATED = tests/faults/test_zip_properties.py tests/faults/test_model_file_properties.py tests/faults/test_document_properties.py tests/unit/board/test_any_request.py
# The suites of the clients that people bring, one for each.
CLIENTS = $(addprefix tests/clients/,cli.py sdk2.py sdk3.py javascript.py cdk.py)
# Tests that also run on other databases and with other users.
APPROVAL_TESTS = $(wildcard tests/e2e/test_approval*.py)

# Every target is a name only, no file.
.PHONY: $(shell sed -n 's/^\([a-z0-9-]*\):.*/\1/p' $(firstword $(MAKEFILE_LIST)))

help: ## List the targets
	@echo "Slipway: SageMaker models from upload to production, by Airflow."
	@echo
	@grep -hE '^[a-z0-9-]+:.*## ' $(firstword $(MAKEFILE_LIST)) | sed -E 's/^([a-z0-9-]+):.*## (.*)/  make \1\t\2/' | expand -t 22
	@echo
	@echo "Settings: SLIPWAY_AIRFLOW_PORT (8080), SLIPWAY_AWS_PORT (4566), SLIPWAY_HOME (.slipway),"
	@echo "SLIPWAY_PACE (0; seconds that jobs and endpoints stay in states that otherwise pass at once),"
	@echo "SLIPWAY_TIME_SCALE (1; with 60 a minute of the local AWS's periods and cooldowns takes a second),"
	@echo "SLIPWAY_COMPUTE (process; with container, docker or podman builds and runs images of your own),"
	@echo "SLIPWAY_FAULTS (0; with 1, calls to the local AWS can be made to fail),"
	@echo "SLIPWAY_DATABASE_URL (an embedded PostgreSQL; 'sqlite' for a file, or the URL of a server),"
	@echo "SLIPWAY_API_WORKERS (1; processes that serve Airflow's API),"
	@echo "SLIPWAY_CELERY_WORKERS (0; Celery workers that run the tasks, with Redis between them and the scheduler)"

setup: ## Make .venv and .venv-aws from the pinned requirements (needs Python 3.11)
	@test -n "$(PYTHON)" || { echo "make: no python3.11 found. On Debian or Ubuntu: apt-get install python3.11 python3.11-venv" >&2; exit 1; }
	@"$(PYTHON)" tools/setup.py setup

up: setup ## Start the local AWS and Airflow in the background and wait until both are healthy (LABS=yes: for the labs)
	@$(if $(LABS),"$(PYTHON)" tools/setup.py labs)
	@$(VENV)/python -m tools.services up $(if $(LABS),--labs)

down: ## Stop everything that 'make up' started; the state stays
	@$(VENV)/python -m tools.services down

status: ## Show what is running, where, and whether it is healthy
	@$(VENV)/python -m tools.services status

demo: setup ## Release the iris model from upload to production (APPROVE=yes answers the approval; MODEL=iris-forest: an image of its own)
	@$(VENV)/python -m tools.services up --quiet
	@$(VENV)/python -m demo $(if $(MODEL),--model "$(MODEL)") $(if $(APPROVE),--approve $(APPROVE)) $(if $(RUN),--run "$(RUN)")

stress: setup ## Send load to an endpoint of the local AWS (ENDPOINT=iris-model-production RATE=200 SECONDS=60)
	@$(VENV)/python -m tools.stress $(ENDPOINT) $(if $(DATA),--data "$(DATA)") $(if $(STAGES),--stages "$(STAGES)") \
		$(if $(RATE),--rate $(RATE)) $(if $(SECONDS),--seconds $(SECONDS)) $(if $(VARIANT),--variant $(VARIANT)) $(ARGS)

labs: setup ## Run every cell of the labs' notebooks against the local AWS (makes .venv-labs; 12 minutes; ARGS=lab1_TrainDeployTest)
	@"$(PYTHON)" tools/setup.py labs
	@$(VENV)/python -m tools.services up --quiet --labs
	@$(VENV)/python -m tools.labs $(ARGS)

bench: setup ## Measure load, parsing, a release and waiting beside what they replace (ARGS="--only c,e"; apt installs wrk and hey, npm autocannon)
	@$(VENV)/python -m bench $(ARGS)

verify-aws: setup ## Compare the account of the environment's AWS_* with what Slipway relies on (reads only; ARGS="--refusals")
	@$(VENV)/python -m tools.verify_aws $(ARGS)

check: lint ## Run lint and the tests that start no server: two minutes
	@"$(PYTHON)" tools/setup.py redis
	@$(VENV)/python -m pytest $(CHECK) $(PARALLEL) $(ARGS)

# The end-to-end tests mostly wait, and their timing suffers from other load. So all else runs beside them, and gets what
# they leave of the processor. A failure on one side does not stop the other.
test: ## Run lint, checkov, the docs' links and every test
	@$(MAKE) --no-print-directory -j 2 setup browser
	@"$(PYTHON)" tools/setup.py redis
	@$(MAKE) --no-print-directory -j 3 -k test-e2e test-beside static

static: setup
	@nice $(MAKE) --no-print-directory -k lint checkov docs

# What it downloads comes while the environments are made; no library is needed.
browser:
	@"$(PYTHON)" -m tools.browser

test-e2e: setup browser ## Run the end-to-end tests only
	@"$(PYTHON)" tools/setup.py redis
	@$(VENV)/python -m pytest -m e2e $(E2E) $(SLOWEST) $(ARGS) $(call AGAIN,$(E2E_CACHE)) -m e2e $(ARGS); }

test-beside: setup
	@"$(PYTHON)" tools/setup.py labs
	@echo "The other tests run beside the end-to-end ones: tail -f $(BESIDE_LOG)"
	@mkdir -p $(dir $(BESIDE_LOG)); nice $(MAKE) --no-print-directory test-others >$(BESIDE_LOG) 2>&1; status=$$?; cat $(BESIDE_LOG); exit $$status

test-others: setup
	@"$(PYTHON)" tools/setup.py redis
	@$(VENV)/python -m pytest -m "not e2e" $(PARALLEL) $(SLOWEST) $(ARGS) $(call AGAIN) -m "not e2e" $(ARGS); }

test-rare: setup ## Run the tests that look at faults more widely: more kills, more messages, a full disk, all labs (15 minutes)
	@"$(PYTHON)" tools/setup.py labs
	@$(VENV)/python -m pytest --rare -m "rare and not e2e" $(PARALLEL) $(ARGS)
	@$(VENV)/python -m pytest --rare -m "rare and e2e" $(E2E) $(ARGS)

# E2E_SLIPWAY_… becomes SLIPWAY_… of the instance that the end-to-end tests start.
test-postgres: setup ## Run the approval's end-to-end tests on PostgreSQL and two API processes
	@E2E_SLIPWAY_API_WORKERS=2 $(VENV)/python -m pytest -m e2e $(APPROVAL_TESTS) $(ARGS)

test-sqlite: setup ## Run the approval's end-to-end tests on SQLite
	@E2E_SLIPWAY_DATABASE_URL=sqlite $(VENV)/python -m pytest -m e2e $(APPROVAL_TESTS) $(ARGS)

test-celery: setup ## Kill workers, schedulers, triggerers, Redis and PostgreSQL during releases on Celery (10 minutes)
	@"$(PYTHON)" tools/setup.py redis
	@$(VENV)/python -m pytest -m e2e tests/e2e/test_celery.py tests/e2e/celery_faults.py $(ARGS)

test-fab: setup ## Run the approval's end-to-end tests with the users of Flask-AppBuilder (makes .venv-fab)
	@"$(PYTHON)" tools/setup.py fab
	@.venv-fab/bin/python -m tools.fab test $(APPROVAL_TESTS) $(ARGS)

test-modes: setup ## Run two releases at once under QUEUED and under PARALLEL (4 minutes)
	@$(VENV)/python -m pytest -m e2e tests/e2e/execution_modes.py $(ARGS)

test-logs: setup ## Run a release with Airflow's logs in S3, and read its training log (3 minutes)
	@$(VENV)/python -m pytest -m e2e tests/e2e/remote_logs.py $(ARGS)

test-metrics: setup ## Run releases with metrics on, and ask a real Prometheus each query of the dashboard (15 minutes)
	@$(VENV)/python -m pytest -m e2e tests/e2e/metrics.py $(ARGS)

dashboard: setup ## Write Grafana's dashboard from tools/dashboard.py
	@PYTHONPATH=plugins $(VENV)/python -m tools.dashboard

env: ## Write .env, with new secrets, for docker compose (Python 3 and openssl; existing values stay)
	@"$(PYTHON)" -m tools.compose_env

test-images-container: setup ## Build the example's image with docker or podman, train and serve with it (docker, or podman as root; 3 minutes)
	@$(VENV)/python -m pytest tests/local_aws/compute/real_containers.py $(ARGS)

compose-test: setup ## Release a model in containers while parts of them die (docker, or podman as root; ARGS=--keep; 10 minutes)
	@$(VENV)/python -m tests.compose $(ARGS)

package: setup ## Build wheel, sdist and the list of what they need into dist/ (makes .venv-package)
	@"$(PYTHON)" tools/setup.py package
	@$(VENV)/python -m tools.package

test-package: setup ## Build the package twice, install it beside Airflow in a new environment, and release a model there
	@"$(PYTHON)" tools/setup.py package
	@$(VENV)/python -m pytest tests/package/installed.py $(ARGS)

test-versions: setup ## Run the unit tests with the oldest and with the newest Airflow and providers that are allowed (a package index)
	@$(VENV)/python -m tools.versions oldest $(ARGS)
	@$(VENV)/python -m tools.versions newest $(ARGS)

mwaa: setup ## Build plugins.zip, requirements.txt, startup.sh and dags/ for MWAA into dist/mwaa/
	@$(VENV)/python -m tools.mwaa

test-mwaa: setup ## Run the unit tests, and what make mwaa builds, with the packages of MWAA's image (Python 3.12, a package index)
	@$(VENV)/python -m tools.versions mwaa $(ARGS)
	@$(VENV)/python -m pytest tests/mwaa/image.py

test-upgrade: setup ## Bring an instance with a waiting release from an earlier version to this one (5 minutes; UPGRADE_FROM=commit)
	@$(VENV)/python -m pytest -m e2e tests/upgrade/in_place.py $(ARGS)

test-clients: setup ## Run the AWS CLI, the SageMaker and JavaScript SDKs and the CDK (ARGS="-k sdk2"; 10 minutes)
	@"$(PYTHON)" tools/setup.py clients
	@$(VENV)/python -m pytest $(CLIENTS) $(ARGS)

cases: setup ## Release the small inputs of tests/cases all at once, and check how each ends
	@$(VENV)/python -m pytest -m e2e tests/e2e/cases.py $(ARGS)

tour: setup ## Take pictures of all pages with releases in every state, into PICTURES=pictures (15 minutes)
	@$(VENV)/python -m tools.browser
	@PICTURES="$(PICTURES)" $(VENV)/python -m pytest -m e2e tests/e2e/tour.py $(ARGS)

generated: setup ## Read EXAMPLES=10000 generated model files, zips and stored documents
	@EXAMPLES=$(EXAMPLES) $(VENV)/python -m pytest $(GENERATED) $(ARGS)

chaos: setup ## Kill and pause RUNS=10 processes while releases run, then report what was lost (SEED repeats a run)
	@$(VENV)/python -m tests.faults.chaos --runs $(RUNS) $(if $(SEED),--seed $(SEED))

burst: setup ## Release ten models at once and count the resumed tasks that Airflow took for killed (10 minutes)
	@$(VENV)/python -m tests.faults.burst $(ARGS)

fleet: setup ## Release 20 models three times each at once on Celery, and measure (15 minutes; ARGS="--models 4 --each 1")
	@"$(PYTHON)" tools/setup.py redis
	@$(VENV)/python -m tests.faults.fleet $(ARGS)

blackout: setup ## Take AWS away for a minute at each stage of a release (20 minutes)
	@$(VENV)/python -m pytest -m e2e tests/e2e/blackout.py $(ARGS)

under-load: setup ## Change and scale production under a constant load, and count what fails (10 minutes)
	@$(VENV)/python -m pytest -n 2 --dist loadfile tests/cfn/under_load.py tests/cfn/scaling_under_load.py $(ARGS)

iam: setup ## Release two models under the roles of the set-up templates, and write docs/iam.md (5 minutes)
	@IAM_EVIDENCE=$${TMPDIR:-/tmp}/slipway-iam.json $(VENV)/python -m pytest tests/cfn/test_iam_life.py -k denied $(ARGS)
	@$(VENV)/python -m tools.iam_coverage $${TMPDIR:-/tmp}/slipway-iam.json

docs: setup ## Build the site of docs/ into site/; a dead link or a page that no chapter lists fails it (makes .venv-docs)
	@"$(PYTHON)" tools/setup.py docs
	@.venv-docs/bin/sphinx-build --quiet --nitpicky --fail-on-warning --keep-going -d .venv-docs/doctrees -c docs . site
	@echo "Built site/index.html"

ui: setup ## Build the board's pages from ui/: types, lint, tests, bundle (Node 20 or newer; installs it if missing)
	@PYTHONPATH=plugins $(VENV)/python -m tools.ui

lint: setup ## Check style, types, layers and templates (ruff, mypy, import-linter, cfn-lint)
	@$(VENV)/ruff check .
	@$(VENV)/ruff format --check .
	@$(VENV)/mypy
	@PYTHONPATH=plugins $(VENV)/lint-imports --no-logo --no-cache
	@$(VENV)/cfn-lint --non-zero-exit-code warning $(SET_UP_TEMPLATES)/*.yaml $(ENDPOINT_TEMPLATE)

checkov: setup ## Scan the templates for insecure settings (makes .venv-checkov)
	@"$(PYTHON)" tools/setup.py checkov
	@.venv-checkov/bin/checkov --quiet --compact --skip-download --framework cloudformation -d $(SET_UP_TEMPLATES) -d $(dir $(ENDPOINT_TEMPLATE))

format: setup ## Bring the code into the project's style
	@$(VENV)/ruff check --fix .
	@$(VENV)/ruff format .

lock: setup ## Resolve the requirements again and write the constraints files
	@"$(PYTHON)" tools/setup.py lock

clean: ## Stop everything and remove the state (the virtual environments stay)
	@if test -x $(VENV)/python; then $(VENV)/python -m tools.services clean; else rm -rf .slipway; fi
	@rm -rf .pytest_cache .mypy_cache .ruff_cache
