# make run   the whole product on this machine, everything emulated; prints the address of a page to open
# make test  all tests
# make lint  formatting, vet and linters
# make build one static binary, bin/snowbot
# make fuzz  every fuzz target, 30 seconds each

GO            ?= go
GOLANGCI_LINT := v2.15.0
FUZZTIME      ?= 30s
TOOLS         := $(CURDIR)/.bin
export PATH   := $(TOOLS):$(PATH)

.PHONY: run build test lint fuzz tools clean

run: build
	bin/snowbot sandbox

build:
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags "-s -w" -o bin/snowbot ./cmd/snowbot

# The race detector needs a C compiler; Microsoft's own clients and validators, which judge what we send, need Node.
test:
	@command -v npm >/dev/null || { echo "make test needs Node 20 or newer with npm"; exit 1; }
	npm ci --prefix cmd/snowbot/judges --loglevel=error
	@ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || { apt-get update -qq && apt-get install -y -qq postgresql >/dev/null; }
	@command -v gcc >/dev/null || { apt-get update -qq && apt-get install -y -qq gcc libc6-dev >/dev/null; }
	$(GO) mod verify
	CGO_ENABLED=1 $(GO) test -race -timeout 20m ./...

lint: $(TOOLS)/golangci-lint-$(GOLANGCI_LINT)
	$(GO) vet ./...
	$< run ./...
	$< fmt --diff

$(TOOLS)/golangci-lint-$(GOLANGCI_LINT):
	GOBIN=$(TOOLS) $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_LINT)
	mv $(TOOLS)/golangci-lint $@

fuzz:
	@for p in $$($(GO) list ./...); do \
		for f in $$($(GO) test -list '^Fuzz' $$p | grep '^Fuzz'); do \
			echo "$$p $$f"; $(GO) test -run '^$$' -fuzz "^$$f$$" -fuzztime $(FUZZTIME) $$p || exit 1; \
		done; \
	done

clean:
	rm -rf bin .bin
