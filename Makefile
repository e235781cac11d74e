# The tools are pinned here and not in go.mod, so that the product's modules stay its own.
GOFUMPT     = go run mvdan.cc/gofumpt@v0.12.0
STATICCHECK = go run honnef.co/go/tools/cmd/staticcheck@v0.8.2
FUZZTIME   ?= 10s
ROUNDS     ?= 18
TALKS      ?= 20
SEED       ?= 0

# The race detector is the only thing here that needs a C compiler.
RACE  = CGO_ENABLED=1 go test -race -timeout 15m
FILES = $(shell find . -name node_modules -prune -o -name '*.go' -print)

.PHONY: run test race integration fuzz bench chaos lint fmt web up

run: # start Parley on this machine
	go run ./cmd/parley

test: # everything: the page's unit tests, compose and chart, then all Go tests, with real Redis, PostgreSQL, balancers, Chromium and processes
	.ci/setup
	.ci/page test
	cd deploy/check && go test -count=1 .
	$(RACE) -tags integration ./...

race: # the Go tests that start no other program
	$(RACE) ./...

integration: # only the Go tests that do
	.ci/setup
	.ci/integration

fuzz: # each fuzz target for FUZZTIME
	.ci/fuzz $(FUZZTIME)

bench: # all benchmarks
	go test -tags integration -run '^$$' -bench . -benchmem ./...

chaos: # everything that can fail does, for some ten minutes; ROUNDS, TALKS and SEED say how long, how much and which
	.ci/setup
	go test -tags integration -count 1 -timeout 0 -v -run '^TestChaos' ./cmd/parley -args -chaos.long -chaos.rounds $(ROUNDS) -chaos.talks $(TALKS) -chaos.seed $(SEED)

lint: # format, vet, staticcheck, go.mod, the page's types; what go fix would modernise is only shown
	@wrong=$$($(GOFUMPT) -l $(FILES)) && test -z "$$wrong" || { echo "make fmt would change:" $$wrong; exit 1; }
	go vet ./...
	go vet -tags integration ./...
	cd deploy/check && go vet .
	$(STATICCHECK) -tags integration ./...
	go mod tidy -diff
	.ci/page check
	-@go fix -diff ./...

fmt: # format the Go files
	@$(GOFUMPT) -w $(FILES)

web: # check and build the page into web/dist
	cd web/app && npm ci --no-audit --no-fund && npm run check && npm test && npm run build

up: # a fleet in containers
	VERSION=$$(git describe --tags --always --dirty 2>/dev/null || echo dev) docker compose up --build
