# reli: `make run` and `make test` are all that a newcomer needs; `make help` lists the rest.
SHELL := /bin/bash
.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules

CC = gcc
V ?= release
BUILD ?= build
export BUILD
DESTDIR ?=
PREFIX ?= /usr/local
PYTHON ?= /usr/bin/python3

O := $(BUILD)/$(V)
GEN := $(BUILD)/gen
BIN := $(if $(filter release,$(V)),$(BUILD)/reli,$(O)/reli)

WARN := -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror
HARDEN := -fPIE -fstack-protector-strong -fstack-clash-protection -fcf-protection
LDHARDEN := -pie -Wl,-z,relro,-z,now,-z,noexecstack,--as-needed
FORTIFY := -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2
SAN := -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer

# The whole program at once, by gcc: 3 to 7 % fewer instructions per request.
LTO := $(if $(findstring clang,$(CC)),,-flto=auto)
FLAGS.release := -O2 -g $(FORTIFY) $(LTO)
FLAGS.debug := -O1 -g $(FORTIFY) -DRELI_CRASH_POINTS
FLAGS.asan := -O1 -g $(SAN) -DRELI_CRASH_POINTS
# For what clang says of the source, which does not depend on how it optimises.
FLAGS.clang := -O0
FLAGS.fuzz := -O1 -g $(SAN) -fsanitize=fuzzer-no-link -DRELI_CRASH_POINTS
FLAGS.coverage := -O0 -g --coverage -DRELI_CRASH_POINTS
LDFLAGS.release := -O2 $(LTO)
LDFLAGS.asan := $(SAN)
LDFLAGS.fuzz := $(SAN)
LDFLAGS.coverage := --coverage
ifneq ($(filter clang fuzz,$(V)),)
CC := clang
endif

PKGS := libuv hiredis libcurl cjose libssl libcrypto jansson libsodium
LLHTTP := $(shell pkg-config --exists libllhttp 2>/dev/null && echo yes)
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)

CPPFLAGS += -D_GNU_SOURCE -I. -I$(GEN) $(if $(LLHTTP),,-isystem /usr/share/include/llhttp) \
  -isystem /usr/include/postgresql -MMD -MP
CFLAGS += -std=c11 $(WARN) $(HARDEN) $(FLAGS.$(V))
LDFLAGS += $(LDHARDEN) $(LDFLAGS.$(V))
LDLIBS = $(shell pkg-config --libs $(PKGS) $(if $(LLHTTP),libllhttp)) -lpq -lwslay -lpthread

SRC := $(sort $(wildcard core/*/*.c core/*.c gateways/*.c gateways/sandbox/*.c store/*.c http/*.c ws/*.c))
ifeq ($(V),fuzz)
# Half of the source, which no fuzzer links.
SRC := $(filter-out core/flow/% store/% gateways/sandbox/% $(wildcard core/*.c),$(SRC))
endif
MAIN := core/main.c
LIB_OBJ := $(patsubst %.c,$(O)/%.o,$(filter-out $(MAIN),$(SRC))) $(O)/gen/embed.o $(O)/gen/embed_data.o
ifeq ($(LLHTTP),)
LIB_OBJ += $(O)/llhttp/api.o $(O)/llhttp/http.o $(O)/llhttp/llhttp.o
endif
LIB := $(O)/libreli.a
EMBEDDED := $(wildcard sql/query/*.sql sql/list/*.sql sql/citus/*.sql sql/migrations/*.sql http/static/*)

UNIT_SRC := $(sort $(wildcard test/*/*_test.c))
UNIT_BIN := $(patsubst test/%.c,$(O)/test/%,$(UNIT_SRC))
SERVICE_SRC := $(sort $(wildcard test/*/*_pgtest.c test/*/*_redistest.c))
SERVICE_BIN := $(patsubst test/%.c,$(O)/test/%,$(SERVICE_SRC))
FUZZ_SRC := $(sort $(wildcard test/fuzz/*_fuzz.c))
FUZZ_BIN := $(patsubst test/fuzz/%.c,$(BUILD)/fuzz/test/fuzz/%,$(FUZZ_SRC))

##@ Build
all: $(BIN) ## the binary, build/reli (V=debug|asan|clang for another variant)

$(BIN): $(O)/core/main.o $(LIB)
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)

$(LIB): $(LIB_OBJ)
	@rm -f $@ && ar rcs $@ $^

$(O)/%.o: %.c | $(GEN)/stamp
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -c -o $@ $<

$(O)/core/version.o: CPPFLAGS += -DRELI_VERSION='"$(VERSION)"'

$(O)/gen/embed.o: $(GEN)/stamp
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -c -o $@ $(GEN)/embed.c

$(O)/gen/embed_data.o: $(GEN)/stamp
	@mkdir -p $(@D)
	$(CC) -c -o $@ $(GEN)/embed.S

# Third-party C: compiled as it is, without our warnings.
$(O)/llhttp/%.o: /usr/share/llhttp/%.c
	@mkdir -p $(@D)
	$(CC) -isystem /usr/share/include/llhttp $(HARDEN) $(FLAGS.$(V)) -w -c -o $@ $<

$(GEN)/stamp: $(EMBEDDED) $(BUILD)/vendor/stamp scripts/embed.sh scripts/lists.sh
	@scripts/embed.sh $(GEN)
# Made with it: who includes the numbers of the statements is compiled anew in the same run.
$(GEN)/queries.h: $(GEN)/stamp ;

$(BUILD)/vendor/stamp: http/ui/package-lock.json scripts/vendor.sh
	@scripts/vendor.sh $(BUILD)/vendor

##@ Run and prove
run: ## packages, build, database, sandbox, service and demo data; stays in the foreground
	@scripts/run.sh

test: ## everything: unit, store and system tests, simulation, crashes; with services of its own
	@scripts/test.sh

unit: $(UNIT_BIN) ## the tests that need no services
	@scripts/unit.sh $(UNIT_BIN)

# For scripts/test.sh.
unit-programs: $(UNIT_BIN)
service-tests: $(SERVICE_BIN)
list-service-tests:
	@echo $(SERVICE_BIN)

$(O)/test/%: $(O)/test/%.o $(LIB)
	$(CC) $(LDFLAGS) -o $@ $^ -lcmocka $(LDLIBS)

# The conformance kit, with the real registry; and in only/ with one provider registered, whose list
# takes the place of gateways/registry.c.
CONFORM_OBJ := $(patsubst %.c,$(O)/%.o,$(sort $(wildcard test/conform/*.c)))
ONLY := $(O)/test/conform/only/cpay.o
$(O)/conform: $(CONFORM_OBJ) $(LIB)
	$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)
$(O)/only/reli: $(O)/core/main.o $(ONLY) $(LIB)
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)
$(O)/only/conform: $(CONFORM_OBJ) $(ONLY) $(LIB)
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)
$(O)/only/test/%: $(O)/test/%.o $(ONLY) $(LIB)
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) -o $@ $^ -lcmocka $(LDLIBS)

conform: ## every provider's adapter through the same checks, and wrong ones that must not pass
	@scripts/conform.sh

sim: ## whole flows on a memory store, a fake clock and scripted providers: SIM_LIFECYCLES, SIM_SEED
	@scripts/sim.sh

search: ## every order of events over every state, against tables written by hand
	@scripts/search.sh

mutants: ## breaks reli in many small ways, one at a time; each must be noticed
	@scripts/mutants.sh

crash: ## RUNS of two replicas under load while everything dies, judged by a checker of its own
	@scripts/crash.sh

replicas: ## four replicas behind HAProxy replaced under load; a standby takes over from its primary
	@scripts/install.sh test && $(MAKE) --no-print-directory V=debug all
	@RELI_TEST_REPLICAS=4 RELI_BIN=$(abspath $(BUILD)/debug/reli) $(PYTHON) -m pytest -q -p no:cacheprovider \
	  test/system/test_replicas.py test/system/test_standby.py

without-redis: ## the system tests with a Redis that is not there
	@scripts/install.sh test && $(MAKE) --no-print-directory V=debug all
	@RELI_TEST_REDIS=off RELI_TEST_SLOW=2 RELI_BIN=$(abspath $(BUILD)/debug/reli) $(PYTHON) test/system/side_by_side.py

citus: ## the system tests on three nodes of Citus, where PostgreSQL has that extension
	@scripts/install.sh test && $(MAKE) --no-print-directory V=debug all
	@RELI_BIN=$(abspath $(BUILD)/debug/reli) scripts/citus.sh test

check: lint ## lint, both compilers, then the tests under sanitizers
	@scripts/check.sh

bench: ## measures, as ratios in one run, against the targets
	@scripts/bench.sh

N ?= 1000000
bench-growth: ## the same beside N older payments (a million), and the plans of what is run there
	@scripts/bench.sh --growth $(N)

fuzz: $(FUZZ_BIN) ## each parser for FUZZ_SECONDS (default 10)
	@scripts/fuzz.sh $(FUZZ_BIN)

ifneq ($(V),fuzz)
# Its own rules know what it is made of; always asked, remade only if need be.
$(BUILD)/fuzz/libreli.a: always
	@$(MAKE) --no-print-directory V=fuzz $@
endif
always:

$(BUILD)/fuzz/test/fuzz/%: test/fuzz/%.c $(BUILD)/fuzz/libreli.a
	@mkdir -p $(@D)
	clang $(CPPFLAGS) $(filter-out gcc,$(CFLAGS)) $(FLAGS.fuzz) -fsanitize=fuzzer $(LDHARDEN) -o $@ $< $(BUILD)/fuzz/libreli.a $(LDLIBS)

lint: ## static analysis, room borders, OpenAPI, shell and Python
	@scripts/lint.sh

format: ## formats the C by .clang-format
	@clang-format -i $(shell git ls-files '*.c' '*.h')

##@ Keep
install: all ## into $(DESTDIR)$(PREFIX)/bin
	install -D -m 0755 $(BUILD)/reli $(DESTDIR)$(PREFIX)/bin/reli

clean: ## removes build/, keeps .local/
	rm -rf $(BUILD)

help: ## this list
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} \
	  /^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: all run test unit check bench bench-growth conform sim search mutants crash replicas without-redis citus fuzz lint format install clean help always \
  unit-programs service-tests list-service-tests
.SECONDARY:
-include $(shell find $(O) -name '*.d' 2>/dev/null)
