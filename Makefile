# Every task a person does. `make help` lists them.
.DEFAULT_GOAL := build
SHELL := bash
MAKEFLAGS += --no-builtin-rules
# make V=1 shows the commands.
Q := $(if $(V),,@)
say = @echo "  $(1) $@"

CC ?= gcc
ifeq ($(origin CC),default)
CC := gcc
endif
# The file VERSION, and the commit where there is one: 0.2.0-dev+g4f77014
COMMIT := $(shell git describe --always --dirty --exclude '*' 2>/dev/null)
VERSION := $(file <VERSION)$(if $(COMMIT),+g$(COMMIT))
LIBS := libcurl yaml-0.1 libcjson openssl sqlite3 libevent_core libevent_openssl
WARN := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wformat=2 -Werror
# pkg-config is asked once, by the first recipe that needs the answer: hack/deps may have to install it first.
PKG_CFLAGS = $(eval PKG_CFLAGS := $$(shell pkg-config --cflags $(LIBS)))$(PKG_CFLAGS)
LDLIBS = $(eval LDLIBS := $$(shell pkg-config --libs $(LIBS)) -lm)$(LDLIBS)
BASE = -std=gnu17 -Ipkg $(WARN) -pthread $(PKG_CFLAGS)

# Each flavour has its objects, its library and its programs in build/FLAVOUR.
release_CFLAGS := -O2 -g -D_FORTIFY_SOURCE=3 -fstack-protector-strong -fstack-clash-protection \
	-fcf-protection=full -ftrivial-auto-var-init=zero -fPIE -ffile-prefix-map=$(CURDIR)=.
release_LDFLAGS := -pie -Wl,-z,relro,-z,now,-z,noexecstack,--as-needed
# What is shipped or measured is optimised as a whole: a push then takes a tenth fewer instructions. The tests' other programs
# are not, because linking takes half a minute of CPU time.
lto_CFLAGS := $(release_CFLAGS) -flto=auto
lto_LDFLAGS := $(release_LDFLAGS)
asan_CFLAGS := -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all
asan_LDFLAGS := -fsanitize=address,undefined
coverage_CFLAGS := -O0 -g -w --coverage -fprofile-update=atomic
fuzz_CC := clang
fuzz_CFLAGS := -O1 -g -w -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all
fuzz_LDFLAGS := -fsanitize=fuzzer,address,undefined

PKG_SRCS := $(sort $(wildcard pkg/*/*.c))
CMD_SRCS := $(sort $(wildcard cmd/buildhook/*.c))
UNIT_SRCS := $(sort $(wildcard tests/unit/*/test_*.c))
SIM_SRCS := $(sort $(wildcard tests/sim/*.c))
# What belongs to the API server is left out: its allocations do not fail.
SIM_CORE_SRCS := $(addprefix tests/sim/,api.c api_cluster.c api_instantiate.c api_list.c api_serve.c http_request.c ledger.c \
	program.c replica.c transport.c)
TORTURE_SRCS := $(sort $(wildcard tests/torture/*.c)) $(SIM_CORE_SRCS)
WORLD_BENCHES := instructions memory
WORLD_BENCH_SRCS := tests/bench/world.c tests/torture/world.c $(SIM_CORE_SRCS)
SIM_BUILDER_SRCS := $(sort $(wildcard tests/sim_builder/*.c))
FUZZ_TARGETS := $(patsubst tests/fuzz/%.c,build/fuzz/%,$(sort $(wildcard tests/fuzz/fuzz_*.c)))
HEADERS := $(sort $(wildcard pkg/*/*.h cmd/buildhook/*.h))

.PHONY: help build asan unit clean
help: ## this list
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

build: build/buildhook ## the program, with release flags: build/buildhook

asan: build/buildhook-asan ## the program under ASan and UBSan

# Rewritten only when the version is another, so that nothing else is compiled again.
.PHONY: version
build/version: version
	@mkdir -p build; echo '$(VERSION)' | cmp -s - $@ || echo '$(VERSION)' >$@

# $(call link,FLAVOUR,MORE): a program of all that it depends on.
link = $(call say,ld); $(or $($(1)_CC),$(CC)) $($(1)_CFLAGS) $($(1)_LDFLAGS) -pthread $^ $(LDLIBS) $(2) -o $@

define flavour
build/$(1)/%.o: %.c Makefile | deps
	$$(call say,cc)
	@mkdir -p $$(@D)
	$$(Q)$$(or $$($(1)_CC),$$(CC)) $$(BASE) $$($(1)_CFLAGS) -MMD -MP -c $$< -o $$@

build/$(1)/libbuildhook.a: $$(PKG_SRCS:%.c=build/$(1)/%.o)
	$$(call say,ar)
	@rm -f $$@
	$$(Q)gcc-ar rcs $$@ $$^

build/$(1)/pkg/base/version.o: build/version
build/$(1)/pkg/base/version.o: BASE += -DBUILDHOOK_VERSION='"$$(VERSION)"'

$$(UNIT_SRCS:%.c=build/$(1)/%): build/$(1)/tests/unit/%: build/$(1)/tests/unit/%.o build/$(1)/libbuildhook.a
	$$(Q)$$(call link,$(1),-lcmocka $$($(1)_unit_LDFLAGS))

build/$(1)/tests/sim/sim: $$(SIM_SRCS:%.c=build/$(1)/%.o) build/$(1)/libbuildhook.a
	$$(Q)$$(call link,$(1))

build/$(1)/tests/sim_builder/sim: $$(SIM_BUILDER_SRCS:%.c=build/$(1)/%.o) build/$(1)/libbuildhook.a
	$$(Q)$$(call link,$(1))

build/$(1)/tests/bench/bench_%: build/$(1)/tests/bench/bench_%.o build/$(1)/libbuildhook.a
	$$(Q)$$(call link,$(1))

$$(patsubst %,build/$(1)/tests/bench/%.o,$$(WORLD_BENCHES) world): BASE += -Itests
$$(WORLD_BENCHES:%=build/$(1)/tests/bench/%): build/$(1)/tests/bench/%: build/$(1)/tests/bench/%.o \
		$$(WORLD_BENCH_SRCS:%.c=build/$(1)/%.o) build/$(1)/libbuildhook.a
	$$(Q)$$(call link,$(1),$$(torture_LDFLAGS))

build/$(1)/tests/torture/%.o: BASE += -Itests
build/$(1)/tests/torture/torture: $$(TORTURE_SRCS:%.c=build/$(1)/%.o) build/$(1)/libbuildhook.a
	$$(Q)$$(call link,$(1),$$(torture_LDFLAGS) $$($(1)_torture_LDFLAGS))
endef
torture_LDFLAGS := -Wl,--wrap=api_serve,--wrap=api_create_build
coverage_torture_LDFLAGS := -Wl,-u,__gcov_dump
# Some unit tests ask the sanitizer how much is allocated.
coverage_unit_LDFLAGS := $(asan_LDFLAGS)
$(foreach f,release lto asan coverage fuzz,$(eval $(call flavour,$(f))))

# Its files come in through the assembler, whose symbols -flto does not see.
build/lto/cmd/buildhook/ui_assets.o: lto_CFLAGS += -fno-lto

build/buildhook: $(CMD_SRCS:%.c=build/lto/%.o) build/lto/libbuildhook.a
	$(Q)$(call link,lto)

build/buildhook-asan: $(CMD_SRCS:%.c=build/asan/%.o) build/asan/libbuildhook.a
	$(Q)$(call link,asan)

UNIT_CHOSEN := $(filter build/asan/tests/unit/$(T)%,$(UNIT_SRCS:%.c=build/asan/%))
unit: $(UNIT_CHOSEN) ## unit tests under ASan and UBSan; make unit T=doc runs one folder
	@hack/run-unit $(UNIT_CHOSEN)

.PHONY: sim
sim: build/asan/tests/sim/sim ## simulated worlds under ASan and UBSan: make sim SEEDS=10000 FROM=1
	@$< --seeds $(or $(SEEDS),200) --from $(or $(FROM),1)

.PHONY: sim-builder
sim-builder: build/asan/tests/sim_builder/sim ## simulated worlds of the build controller: make sim-builder SEEDS=1000 FROM=1
	@$< --seeds $(or $(SEEDS),50) --from $(or $(FROM),1)

# Replaces malloc, so not under ASan.
.PHONY: torture
torture: build/release/tests/torture/torture ## allocations that fail, one after the other: make torture STEP=1 for all
	@$< --step $(or $(STEP),251)

$(FUZZ_TARGETS): build/fuzz/%: build/fuzz/tests/fuzz/%.o build/fuzz/libbuildhook.a
	$(Q)$(call link,fuzz)

.PHONY: fuzz
fuzz: $(FUZZ_TARGETS) ## replays the corpora of the parsers' fuzz targets; SECONDS_EACH=60: fuzzes each for that long, too
	@hack/run-fuzz $(FUZZ_TARGETS)

# hack/own-root runs it in a chroot.
build/own-root: hack/own-root.c | deps
	$(call say,ld)
	@mkdir -p $(@D)
	$(Q)$(CC) $(BASE) $(release_CFLAGS) $< -o $@

BENCH_PEERS := build/lto/tests/bench/bench_hmac build/lto/tests/bench/bench_journal build/lto/tests/bench/slow_disk.so
build/lto/tests/bench/slow_disk.so: tests/bench/slow_disk.c | deps
	$(call say,ld)
	@mkdir -p $(@D)
	$(Q)$(CC) $(BASE) $(release_CFLAGS) -fPIC -shared $< -o $@

.PHONY: bench
bench: build $(BENCH_PEERS) ## figures of speed and size, beside nginx, SQLite and curl: make bench ROWS="pushes --rounds 3"
	@hack/bench $(ROWS)

.PHONY: instructions
instructions: $(WORLD_BENCHES:%=build/lto/tests/bench/%) ## instructions of a delivery, counted by valgrind, and memory of a BuildConfig, beside those that are kept
	@tests/bench/instructions

.PHONY: coverage
coverage: $(UNIT_SRCS:%.c=build/coverage/%) build/coverage/tests/torture/torture build/coverage/tests/sim/sim ## lines and branches that tests cover, and where some are missing; T=journal: of its files
	@hack/coverage $(T)

.PHONY: mutations
mutations: build/release/tests/sim/sim build/release/tests/sim_builder/sim ## rules broken one by one, each of which a simulated world must notice
	@tests/sim/mutations

# For scripts: make -s print-BASE
print-%:
	@echo '$($*)'

.PHONY: run down cluster cluster-down e2e test test-long lint
run: build ## the main job, shown on a development cluster of its own; stays up. BUILD=1: on a node, and the build runs
	@hack/deps $(if $(BUILD),run-build,run)
	@hack/cluster build
	@$(if $(BUILD),hack/run-build,hack/run) up

down: ## ends what `make run` started
	@hack/run-build down
	@hack/run down

cluster: ## a development cluster; its last line is the path of its kubeconfig. OPENSHIFT=1: with OpenShift's face; NODE=1: with a node
	@hack/deps $(if $(NODE),node,run)
	@hack/cluster up $(if $(OPENSHIFT),--openshift) $(if $(NODE),--node)

cluster-down: ## ends the development clusters
	@hack/cluster down
	@hack/cluster down --openshift
	@hack/cluster down --node

.PHONY: image
image: build ## the container image, with buildah: localhost/buildhook:latest
	@hack/deps image
	@hack/image

.PHONY: builder-image
builder-image: ## the image that build Pods run (git, buildah): localhost/buildhook-builder:latest
	@hack/deps image
	@hack/builder-image/image

.PHONY: cli man install
cli: build/version ## the program for workstations, self-contained: build/cli/buildhook-linux-amd64 and -arm64
	@hack/deps cli
	@hack/cli

man: build ## man pages: build/man
	@mkdir -p build/man
	@build/buildhook __man >build/man/buildhook.1
	@for c in $$(build/buildhook --help | sed -n '/^commands:/,/^$$/s/^  \([a-z-]*\) .*/\1/p'); do \
		build/buildhook __man $$c >build/man/buildhook-$$c.1; \
	done

.PHONY: release
release: cli ## the folder of a release, build/dist: image archive, manifests, programs, SBOM, checksums. IMAGE=: its name in the manifests
	@hack/deps release
	@hack/cluster build
	@$(if $(IMAGE),IMAGE=$(IMAGE)) hack/release/build

PREFIX ?= /usr/local
install: build man ## program, links for kubectl and oc, man pages and completion below $(PREFIX)
	install -D -m 755 build/buildhook $(DESTDIR)$(PREFIX)/bin/buildhook
	for l in kubectl-buildhook oc-buildhook kubectl_complete-buildhook; do ln -sfn buildhook $(DESTDIR)$(PREFIX)/bin/$$l; done
	install -d $(DESTDIR)$(PREFIX)/share/man/man1 $(DESTDIR)$(PREFIX)/share/bash-completion/completions \
		$(DESTDIR)$(PREFIX)/share/zsh/site-functions $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d
	install -m 644 build/man/*.1 $(DESTDIR)$(PREFIX)/share/man/man1/
	build/buildhook completion bash >$(DESTDIR)$(PREFIX)/share/bash-completion/completions/buildhook
	build/buildhook completion zsh >$(DESTDIR)$(PREFIX)/share/zsh/site-functions/_buildhook
	build/buildhook completion fish >$(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/buildhook.fish

lint: build/release/libbuildhook.a ## layers, circles, headers alone, head comments, format, clang-tidy, -fanalyzer
	@hack/deps test
	@hack/lint

e2e: build/buildhook-asan build/buildhook ## the real program against the real API server; make e2e T=test_main_job.py
	@hack/deps test
	@hack/cluster build
	@hack/run-e2e $(T)

test: ## all tests
	@hack/test

test-long: build/buildhook ## the long forms of the tests, hours; make test-long T=test_crashes.py LONG=0.1
	@LONG=$(or $(LONG),1) hack/test-long $(T)

clean: ## removes what was built (not the development cluster's program)
	rm -rf build/release build/lto build/asan build/coverage build/fuzz build/buildhook build/buildhook-asan

.PHONY: deps
deps:
	@hack/deps

-include $(shell find build/release build/lto build/asan build/coverage build/fuzz -name '*.d' 2>/dev/null)
