.DEFAULT_GOAL := help
.PHONY: help build demo test race conformance sim lint fuzz bench growth pgo e2e golden cover vuln cross

help: ## list the targets
	@sed -n 's/^\([a-z0-9]*\):.*## \(.*\)/  \1\t\2/p' $(MAKEFILE_LIST) | expand -t 12

build: ## build static binaries into bin/
	CGO_ENABLED=0 go build -trimpath -o bin/ ./cmd/...

demo: build ## show the proxy at work, with servers of its own
	@bin/nutmegctl demo

test: ## install what the tests need, lint, vet, and run all tests
	scripts/test.sh

race: ## run all tests with the race detector and nothing else
	go test -race ./...

conformance: ## compare with real servers, case by case, and write docs/commands.md; CONFORMANCE='-only REGEXP' for flags
	UPDATE_GOLDEN=1 go test -count=1 -run CommandsPage ./test/conformance
	go test -count=1 -v -run Conformance ./test/conformance -args $(CONFORMANCE)

sim: ## run SEEDS=1000 fresh seeds of the simulation, or SEED=... again
	@SEEDS=$(SEEDS) SEED=$(SEED) FIRST=$(FIRST) scripts/sim.sh

lint: ## run the linters of .golangci.yml
	scripts/lint.sh

fuzz: ## fuzz every target for 30s, or FUZZTIME=...
	scripts/fuzz.sh

bench: ## measure beside other proxies, about twenty minutes; BENCH='-only mget -rounds 9' for flags
	go run ./bench $(BENCH)

growth: ## measure what costs grow with; GROWTH='-only reload' for flags
	go run ./bench/growth $(GROWTH)

pgo: ## make cmd/nutmeg/default.pgo anew, the profile that builds use
	scripts/pgo.sh

e2e: ## run the end-to-end tests against real servers
	scripts/install-test-tools.sh && go test -race -count=1 ./test/...

golden: ## rewrite the golden files; review the diff like code
	UPDATE_GOLDEN=1 go test ./...

cover: ## measure test coverage into cover.html
	go test -coverpkg=./... -coverprofile=cover.out ./... && go tool cover -html=cover.out -o cover.html && go tool cover -func=cover.out | tail -1

vuln: ## look for known vulnerabilities in the dependencies
	scripts/vuln.sh

cross: ## build the daemon for every supported system
	scripts/cross.sh
