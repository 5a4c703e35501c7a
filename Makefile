# make run   the whole product on this machine, everything emulated; prints the address of a page to open
# make test  all tests
# make e2e   the same chats in a real browser; pictures of each step are left in bin/e2e
# make lint  formatting, vet and linters
# make build one static binary, bin/snowbot
# make vuln  known vulnerabilities in what is used, by the Go vulnerability database
# make fuzz  every fuzz target, 30 seconds each
# make bench the service, measured between two emulated platforms; make bench-peers also measures the bots of Microsoft's frameworks

GO            ?= go
GOLANGCI_LINT := v2.15.0
GOVULNCHECK   := v1.9.0
FUZZTIME      ?= 30s
CHROMIUM      ?= chromium
TOOLS         := $(CURDIR)/.bin
JUDGES        := cmd/snowbot/judges
PEERS         := cmd/snowbot/peers
SENT          := $(CURDIR)/bin/sent.jsonl
SEARCHED      := $(CURDIR)/bin/searched.jsonl
export PATH   := $(TOOLS):$(PATH)

.PHONY: run build test e2e lint vuln fuzz bench bench-peers tools clean

run: build
	bin/snowbot sandbox

build:
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags "-s -w" -o bin/snowbot ./cmd/snowbot

# The race detector needs a C compiler, and the tests that stop the service between two system calls need strace. What the bots of all
# tests sent is judged at once in the end, and what was searched for people's words and secrets is added up.
test: $(JUDGES)/node_modules/.package-lock.json
	@ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || { apt-get update -qq && apt-get install -y -qq postgresql >/dev/null; }
	@command -v gcc >/dev/null || { apt-get update -qq && apt-get install -y -qq gcc libc6-dev >/dev/null; }
	@command -v strace >/dev/null || { apt-get update -qq && apt-get install -y -qq strace >/dev/null; }
	$(GO) mod verify
	@mkdir -p bin && rm -f $(SENT) $(SEARCHED)
	CGO_ENABLED=1 ADAPTERTEST_SENT=$(SENT) LEAKTEST_REPORT=$(SEARCHED) $(GO) test -race -timeout 20m ./...
	PATH="$$(echo $(CURDIR)/$(JUDGES)/node_modules/node-*/bin):$$PATH" node $(JUDGES)/all.mjs $(SENT)
	$(GO) run ./cmd/leaktest/tally $(SEARCHED)

e2e: $(JUDGES)/node_modules/.package-lock.json
	@command -v "$(CHROMIUM)" >/dev/null || { apt-get update -qq && apt-get install -y -qq chromium fonts-noto-color-emoji >/dev/null; }
	CHROMIUM="$(CHROMIUM)" $(GO) test -tags e2e -timeout 9m -run 'InBrowser$$' ./cmd/snowbot

# Microsoft's own clients and validators, which judge what we send, and the Node they run on.
$(JUDGES)/node_modules/.package-lock.json: $(JUDGES)/package-lock.json
	@command -v npm >/dev/null || { apt-get update -qq && apt-get install -y -qq npm >/dev/null; }
	npm ci --prefix $(JUDGES) --loglevel=error
	@touch $@

lint: $(TOOLS)/golangci-lint-$(GOLANGCI_LINT)
	$(GO) vet -tags e2e ./...
	$< run --allow-parallel-runners ./...
	$< fmt --diff

$(TOOLS)/golangci-lint-$(GOLANGCI_LINT):
	GOBIN=$(TOOLS) $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_LINT)
	mv $(TOOLS)/golangci-lint $@

# Without the database nothing is known, which is neither a pass nor a finding: it fails, unless VULN_OFFLINE=tell is said, which only tells.
vuln: $(TOOLS)/govulncheck-$(GOVULNCHECK)
	@out=$$($< ./... 2>&1) && { echo "$$out"; exit 0; }; echo "$$out"; \
	case "$$out" in *"fetching vulnerabilities"*) \
		echo "NOT CHECKED: the vulnerability database is out of reach from here"; [ "$(VULN_OFFLINE)" = tell ];; \
	*) exit 1;; esac

$(TOOLS)/govulncheck-$(GOVULNCHECK):
	GOBIN=$(TOOLS) $(GO) install golang.org/x/vuln/cmd/govulncheck@$(GOVULNCHECK)
	mv $(TOOLS)/govulncheck $@

fuzz:
	@for p in $$($(GO) list ./...); do \
		for f in $$($(GO) test -list '^Fuzz' $$p | grep '^Fuzz'); do \
			echo "$$p $$f"; $(GO) test -run '^$$' -fuzz "^$$f$$" -fuzztime $(FUZZTIME) $$p || exit 1; \
		done; \
	done

bench: build
	bin/snowbot bench
	bin/snowbot bench --size

bench-peers: build $(PEERS)/node_modules/.package-lock.json
	bin/snowbot bench --bots $(PEERS)

$(PEERS)/node_modules/.package-lock.json: $(PEERS)/package-lock.json
	@command -v npm >/dev/null || { apt-get update -qq && apt-get install -y -qq npm >/dev/null; }
	npm ci --prefix $(PEERS) --loglevel=error
	@touch $@

clean:
	rm -rf bin .bin
