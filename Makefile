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
VERSION := $(shell git describe --always --dirty 2>/dev/null || echo unknown)
LIBS := libcurl yaml-0.1 libcjson openssl sqlite3 libevent_core libevent_openssl
WARN := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wformat=2 -Werror
# pkg-config is asked once, by the first recipe that needs the answer: hack/deps may have to install it first.
PKG_CFLAGS = $(eval PKG_CFLAGS := $$(shell pkg-config --cflags $(LIBS)))$(PKG_CFLAGS)
LDLIBS = $(eval LDLIBS := $$(shell pkg-config --libs $(LIBS)) -lm)$(LDLIBS)
BASE = -std=gnu17 -Ipkg $(WARN) -pthread $(PKG_CFLAGS)

RELEASE_CFLAGS := -O2 -g -D_FORTIFY_SOURCE=3 -fstack-protector-strong -fstack-clash-protection \
	-fcf-protection=full -ftrivial-auto-var-init=zero -fPIE
RELEASE_LDFLAGS := -pie -Wl,-z,relro,-z,now,-z,noexecstack,--as-needed
ASAN_CFLAGS := -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all
ASAN_LDFLAGS := -fsanitize=address,undefined

PKG_SRCS := $(sort $(wildcard pkg/*/*.c))
CMD_SRCS := $(sort $(wildcard cmd/buildhook/*.c))
UNIT_SRCS := $(sort $(wildcard tests/unit/*/test_*.c))
UNIT_TESTS := $(UNIT_SRCS:%.c=build/asan/%)
HEADERS := $(sort $(wildcard pkg/*/*.h cmd/buildhook/*.h))

.PHONY: help build asan unit clean
help: ## this list
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

build: build/buildhook ## the program, with release flags: build/buildhook

asan: build/buildhook-asan ## the program under ASan and UBSan

# Rewritten only when the version is another, so that nothing else is compiled anew.
VERSIONED := pkg/http_client/transfer cmd/buildhook/server cmd/buildhook/main cmd/buildhook/stats
$(VERSIONED:%=build/release/%.o) $(VERSIONED:%=build/asan/%.o): build/version
.PHONY: version
build/version: version
	@mkdir -p build; echo '$(VERSION)' | cmp -s - $@ || echo '$(VERSION)' >$@

build/release/%.o: %.c Makefile | deps
	$(call say,cc)
	@mkdir -p $(@D)
	$(Q)$(CC) $(BASE) $(RELEASE_CFLAGS) -MMD -MP -DBUILDHOOK_VERSION='"$(VERSION)"' -c $< -o $@

build/asan/%.o: %.c Makefile | deps
	$(call say,cc)
	@mkdir -p $(@D)
	$(Q)$(CC) $(BASE) $(ASAN_CFLAGS) -MMD -MP -DBUILDHOOK_VERSION='"$(VERSION)"' -c $< -o $@

build/release/libbuildhook.a: $(PKG_SRCS:%.c=build/release/%.o)
	$(call say,ar)
	@rm -f $@
	$(Q)ar rcs $@ $^

build/asan/libbuildhook.a: $(PKG_SRCS:%.c=build/asan/%.o)
	$(call say,ar)
	@rm -f $@
	$(Q)ar rcs $@ $^

build/buildhook: $(CMD_SRCS:%.c=build/release/%.o) build/release/libbuildhook.a
	$(call say,ld)
	$(Q)$(CC) $(RELEASE_CFLAGS) $(RELEASE_LDFLAGS) -pthread $^ $(LDLIBS) -o $@

build/buildhook-asan: $(CMD_SRCS:%.c=build/asan/%.o) build/asan/libbuildhook.a
	$(call say,ld)
	$(Q)$(CC) $(ASAN_LDFLAGS) -pthread $^ $(LDLIBS) -o $@

$(UNIT_TESTS): build/asan/tests/unit/%: build/asan/tests/unit/%.o build/asan/libbuildhook.a
	$(Q)$(CC) $(ASAN_LDFLAGS) -pthread $^ $(LDLIBS) -lcmocka -o $@

UNIT_CHOSEN := $(filter build/asan/tests/unit/$(T)%,$(UNIT_TESTS))
unit: $(UNIT_CHOSEN) ## unit tests under ASan and UBSan; make unit T=doc runs one folder
	@hack/run-unit $(UNIT_CHOSEN)

SIM_SRCS := $(sort $(wildcard tests/sim/*.c))
build/asan/tests/sim/sim: $(SIM_SRCS:%.c=build/asan/%.o) build/asan/libbuildhook.a
	$(Q)$(CC) $(ASAN_LDFLAGS) -pthread $^ $(LDLIBS) -o $@

build/release/tests/sim/sim: $(SIM_SRCS:%.c=build/release/%.o) build/release/libbuildhook.a
	$(Q)$(CC) $(RELEASE_CFLAGS) $(RELEASE_LDFLAGS) -pthread $^ $(LDLIBS) -o $@

.PHONY: sim
sim: build/asan/tests/sim/sim ## simulated worlds under ASan and UBSan: make sim SEEDS=10000 FROM=1
	@$< --seeds $(or $(SEEDS),200) --from $(or $(FROM),1)

# Replaces malloc, so not under ASan. What belongs to the API server is left out.
TORTURE_SRCS := $(sort $(wildcard tests/torture/*.c)) \
	$(addprefix tests/sim/,api.c api_cluster.c api_instantiate.c api_list.c api_serve.c http_request.c ledger.c \
	program.c replica.c transport.c)
TORTURE_LDFLAGS := -Wl,--wrap=api_serve,--wrap=api_create_build
build/release/tests/torture/%.o build/coverage/tests/torture/%.o: BASE += -Itests
build/release/tests/torture/torture: $(TORTURE_SRCS:%.c=build/release/%.o) build/release/libbuildhook.a
	$(Q)$(CC) $(RELEASE_CFLAGS) $(RELEASE_LDFLAGS) $(TORTURE_LDFLAGS) -pthread \
		$^ $(LDLIBS) -o $@

.PHONY: torture
torture: build/release/tests/torture/torture ## allocations that fail, one after the other: make torture STEP=1 for all
	@$< --step $(or $(STEP),251)

COVERAGE_CFLAGS := -O0 -g -w --coverage -fprofile-update=atomic
COVERAGE_TESTS := $(UNIT_SRCS:%.c=build/coverage/%)
build/coverage/%.o: %.c Makefile | deps
	$(call say,cc)
	@mkdir -p $(@D)
	$(Q)$(CC) $(BASE) $(COVERAGE_CFLAGS) -MMD -MP -DBUILDHOOK_VERSION='"$(VERSION)"' -c $< -o $@

build/coverage/libbuildhook.a: $(PKG_SRCS:%.c=build/coverage/%.o)
	@rm -f $@
	$(Q)ar rcs $@ $^

$(COVERAGE_TESTS): build/coverage/tests/unit/%: build/coverage/tests/unit/%.o build/coverage/libbuildhook.a
	$(Q)$(CC) $(COVERAGE_CFLAGS) $(ASAN_LDFLAGS) -pthread $^ $(LDLIBS) -lcmocka -o $@

build/coverage/tests/torture/torture: $(TORTURE_SRCS:%.c=build/coverage/%.o) build/coverage/libbuildhook.a
	$(Q)$(CC) $(COVERAGE_CFLAGS) $(TORTURE_LDFLAGS) -Wl,-u,__gcov_dump -pthread $^ $(LDLIBS) -o $@

build/coverage/tests/sim/sim: $(SIM_SRCS:%.c=build/coverage/%.o) build/coverage/libbuildhook.a
	$(Q)$(CC) $(COVERAGE_CFLAGS) -pthread $^ $(LDLIBS) -o $@

.PHONY: coverage
coverage: $(COVERAGE_TESTS) build/coverage/tests/torture/torture build/coverage/tests/sim/sim ## lines and branches that tests cover, and where some are missing; T=journal: of its files
	@hack/coverage $(T)

.PHONY: mutations print-sim
mutations: build/release/tests/sim/sim ## rules broken one by one, each of which a simulated world must notice
	@tests/sim/mutations

print-sim:
	@echo '$(BASE) $(RELEASE_CFLAGS) $(RELEASE_LDFLAGS) -- $(LDLIBS)'

.PHONY: run down cluster cluster-down e2e test test-long lint
run: build ## the main job, shown on a development cluster of its own; stays up
	@hack/deps run
	@hack/cluster build
	@hack/run up

down: ## ends what `make run` started
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

lint: ## layers, headers alone, format, clang-tidy, -fanalyzer
	@hack/deps test
	@hack/lint

e2e: build/buildhook-asan build/buildhook ## the real program against the real API server; make e2e T=test_main_job.py
	@hack/deps test
	@hack/cluster build
	@hack/run-e2e $(T)

test: ## all tests
	@hack/test

test-long: build/buildhook ## the long forms of the fault tests, hours; make test-long T=test_crashes.py LONG=0.1
	@LONG=$(or $(LONG),1) hack/test-long $(T)

clean: ## removes what was built (not the development cluster's program)
	rm -rf build/release build/asan build/coverage build/buildhook build/buildhook-asan

.PHONY: deps
deps:
	@hack/deps

-include $(shell find build/release build/asan build/coverage -name '*.d' 2>/dev/null)
