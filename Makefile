# Everything a person or CI needs. Go is the only thing that must be there.
export CGO_ENABLED = 0
export GOTOOLCHAIN = local
BUILD   ?= build
FUZZ    ?= 30s
SOAK    ?= 1h
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)

PLATFORMS ?= linux/arm64 darwin/amd64 darwin/arm64 windows/amd64

.PHONY: run build cross test test-system test-browser bench soak lint generate clean

# Build, and scan this machine: a report on the terminal and one to open in a browser.
run: build
	$(BUILD)/bulwark scan host --allow-starter --exit-zero -o table -o html=$(BUILD)/host.html
	@echo "Open $(BUILD)/host.html in a browser for the whole report."

build:
	go build -trimpath -ldflags "-s -w -X main.version=$(VERSION)" -o $(BUILD)/bulwark ./cmd/bulwark

# For every platform: build/bulwark-OS-ARCH. Elsewhere than on Linux parsers run
# without their sandbox, and every report says so.
cross:
	for p in $(PLATFORMS); do \
		os=$${p%/*}; arch=$${p#*/}; ext=; [ $$os = windows ] && ext=.exe; \
		GOOS=$$os GOARCH=$$arch go build -trimpath -ldflags "-s -w -X main.version=$(VERSION)" -o $(BUILD)/bulwark-$$os-$$arch$$ext ./cmd/bulwark || exit 1; \
	done
	GOOS=windows GOARCH=amd64 go vet ./...
	GOOS=darwin GOARCH=arm64 go vet ./...

# Any machine, no privileges, no network beyond the Go module proxy.
test:
	go vet ./...
	go test ./...

# Root, real components; .ci/run installs them.
test-system: build
	BULWARK=$(abspath $(BUILD)/bulwark) FUZZ=$(FUZZ) test/system/run

# The HTML report in a real browser; needs chromium and npm.
test-browser: build
	BULWARK=$(abspath $(BUILD)/bulwark) test/browser/run

bench: build
	BULWARK=$(abspath $(BUILD)/bulwark) test/bench/run

# Hours: every fuzz target, one after another.
soak:
	test/system/fuzz $(SOAK)

lint:
	go tool -modfile=tools/go.mod golangci-lint run

generate:
	go generate ./...

clean:
	rm -rf $(BUILD)
