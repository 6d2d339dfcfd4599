# Builds, tests and installs convstore. `make help` lists the targets.
#
# Sources are found by wildcard; the rockspec lists them by name, and a spec compares the two.
# Each way of building (plain, sanitizers, coverage) has a folder of its own, so they never mix objects.

# What a caller may set ------------------------------------------------------------------------------------------------
CC ?= cc
CFLAGS ?= -O2 -g
LDFLAGS ?=
# 1: warnings are errors. A compiler that we have not met may warn about more; then say WERROR=0.
WERROR ?= 1
PREFIX ?= /usr/local
DESTDIR ?=
BUILD ?= build
LUA ?= lua5.4
LUA_VERSION = 5.4
# The folder of lua.h, if pkg-config does not know it.
LUA_INCDIR ?=
LUADIR ?= $(PREFIX)/share/lua/$(LUA_VERSION)
LIBDIR ?= $(PREFIX)/lib
CLIBDIR ?= $(LIBDIR)/lua/$(LUA_VERSION)
INCLUDEDIR ?= $(PREFIX)/include
BINDIR ?= $(PREFIX)/bin
MANDIR ?= $(PREFIX)/share/man
COMPLETIONSDIR ?= $(PREFIX)/share/bash-completion/completions
PKG_CONFIG ?= pkg-config
GCOV ?= gcov
VALGRIND ?= valgrind
CPPCHECK ?= cppcheck
CLANG_FORMAT ?= clang-format
CLANG_TIDY ?= clang-tidy
LUACHECK ?= luacheck
CODESPELL ?= codespell
# 1: show the commands of the build.
V ?= 0
# More arguments for busted, such as ARGS='--filter=append'.
ARGS ?=
# Where the demo's bot keeps its memory.
DEMO_DB ?= eliza.db

# What they are built with ---------------------------------------------------------------------------------------------
WARNINGS = -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wundef
ifeq ($(WERROR),1)
WARNINGS += -Werror
endif

# $(call pkg,what,modules,fallback): what pkg-config says, or the fallback where it or the module is missing.
pkg = $(shell $(PKG_CONFIG) $(1) $(2) 2>/dev/null || echo $(3))

DEPS_CFLAGS := $(call pkg,--cflags,sqlite3 jansson libpq libutf8proc,-I/usr/include/postgresql)
DEPS_LIBS := $(call pkg,--libs,sqlite3 jansson libpq libutf8proc,-lsqlite3 -ljansson -lpq -lutf8proc) -lm
LUA_CFLAGS := $(if $(LUA_INCDIR),-I$(LUA_INCDIR),$(call pkg,--cflags,lua5.4,-I/usr/include/lua5.4))

# Only of a test that is a host program of its own; the module takes Lua from whoever loads it.
LUA_LIBS := $(call pkg,--libs,lua5.4,-llua5.4)

# POSIX 2008: clocks and threads, which -std=c11 alone hides. The rockspec defines the same.
ALL_CFLAGS = -std=c11 -D_POSIX_C_SOURCE=200809L -fPIC -fvisibility=hidden $(WARNINGS) $(CPPFLAGS) $(CFLAGS) \
  $(DEPS_CFLAGS) $(LUA_CFLAGS)

LIB_SOURCES := $(sort $(wildcard csrc/core/*.c csrc/sqlite/*.c csrc/postgres/*.c))
BINDING_SOURCES := $(sort $(wildcard csrc/binding/*.c))
TEST_SOURCES := $(sort $(wildcard csrc/tests/test_*.c))
# Programs whose allocations fail one by one, and the helper that only they can be linked with.
MEMORY_TESTS := test_out_of_memory test_search_memory test_lua_out_of_memory
MEMORY_SOURCE := csrc/tests/failing_memory.c
LUA_MEMORY_SOURCE := csrc/tests/own_malloc.c
TEST_HELPER_SOURCES := $(filter-out $(TEST_SOURCES) $(MEMORY_SOURCE) $(LUA_MEMORY_SOURCE),$(sort $(wildcard csrc/tests/*.c)))
# Fuzz targets: each is a program for clang's libFuzzer, and with replay.c a test of its kept inputs.
FUZZ_SOURCES := $(sort $(wildcard csrc/fuzz/fuzz_*.c))
FUZZ_NAMES := $(FUZZ_SOURCES:csrc/fuzz/fuzz_%.c=%)
SPECS := $(sort $(wildcard spec/*_spec.lua spec/*/*_spec.lua))
LUA_SOURCES := $(sort $(wildcard lua/convstore/*.lua))
COMMAND_SOURCES := $(sort $(wildcard lua/convstore/command/*.lua))
MIGRATIONS := $(patsubst csrc/%/migrations/,csrc/%/migrations.inc,$(wildcard csrc/*/migrations/))

objects = $(patsubst %.c,$(BUILD)/obj/%.o,$(1))
LIB_OBJECTS := $(call objects,$(LIB_SOURCES))
BINDING_OBJECTS := $(call objects,$(BINDING_SOURCES))
TEST_HELPER_OBJECTS := $(call objects,$(TEST_HELPER_SOURCES))
TEST_PROGRAMS := $(patsubst csrc/tests/%.c,$(BUILD)/tests/%,$(TEST_SOURCES)) $(FUZZ_NAMES:%=$(BUILD)/tests/corpus_%)
# The network between the specs and PostgreSQL.
PROXY := $(BUILD)/tests/proxy
# What the soak run measures by.
SOAK_PROBE := $(BUILD)/tests/soak_probe.so
# Tells the specs what SQL runs.
STATEMENTS := $(BUILD)/tests/statements

LIBRARY := $(BUILD)/libconvstore.a
MODULE := $(BUILD)/convstore/core.so

# Lua sees this checkout first, from any folder: specs start processes elsewhere. The versioned variables would hide
# the plain ones, so they are joined to them.
export LUA_PATH := $(CURDIR)/lua/?.lua;$(CURDIR)/lua/?/init.lua;$(or $(LUA_PATH_5_4),$(LUA_PATH),;)
export LUA_CPATH := $(abspath $(BUILD))/?.so;$(or $(LUA_CPATH_5_4),$(LUA_CPATH),;)
unexport LUA_PATH_5_4 LUA_CPATH_5_4

export CONVSTORE_TEST_PROXY := $(abspath $(PROXY))
export CONVSTORE_TEST_SOAK_PROBE := $(abspath $(SOAK_PROBE))
export CONVSTORE_TEST_STATEMENTS := $(abspath $(STATEMENTS))

RUN_TESTS = $(LUA) tools/run_tests.lua
# Beside a PostgreSQL server of their own, or that of CONVSTORE_TEST_POSTGRES_URL.
RUN_TESTS_BESIDE_POSTGRES = tools/with_postgres $(RUN_TESTS)
# Through $(LUA), since Debian's busted starts whichever Lua is the default one.
BUSTED = $(LUA) "$$(command -v busted)" --ignore-lua --output=spec/support/summary.lua --cpath="$(abspath $(BUILD))/?.so" $(ARGS)

# $(call quietly,WORD): shows a word and the target instead of the command, unless V=1.
quietly = $(if $(filter 0,$(V)),@echo "  $(1)	$@";,)

.DELETE_ON_ERROR:
# Keeps the tests' objects, which are intermediate files to make.
.SECONDARY:
.PHONY: models docs-diagrams
.PHONY: all help demo test test-programs test-c test-lua test-pgbouncer test-postgres-doors faults \
  stress-retention check lint format format-check embed asan sanitized-tests valgrind gc coverage coverage-report bench install uninstall clean FORCE
.PHONY: docs docs-check recording
.PHONY: soak isolation
# The last line of `make test` is the tests', also when make was called with -C or by another make.
MAKEFLAGS += --no-print-directory

all: $(LIBRARY) $(MODULE) ## build the library and the Lua module (the default)

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1\t\2/p' Makefile | expand -t 14

$(LIBRARY): $(LIB_OBJECTS)
	@mkdir -p $(@D)
	@rm -f $@
	$(call quietly,AR)$(AR) rcs $@ $(LIB_OBJECTS)

$(MODULE): $(LIB_OBJECTS) $(BINDING_OBJECTS)
	@mkdir -p $(@D)
	$(call quietly,LD)$(CC) -shared $(CFLAGS) $(LDFLAGS) -o $@ $(BINDING_OBJECTS) $(LIB_OBJECTS) $(DEPS_LIBS)

$(BUILD)/obj/%.o: %.c Makefile $(BUILD)/flags | $(MIGRATIONS)
	@mkdir -p $(@D)
	$(call quietly,CC)$(CC) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

# Changes when the command line does, so that `make CC=clang` after `make` builds anew.
$(BUILD)/flags: FORCE
	@mkdir -p $(@D)
	@echo '$(CC) $(ALL_CFLAGS) $(LDFLAGS)' | cmp -s - $@ || echo '$(CC) $(ALL_CFLAGS) $(LDFLAGS)' > $@

# Made only where there is a Lua: the results are committed, and a C program's build needs none.
ifneq ($(shell command -v $(LUA)),)
.SECONDEXPANSION:
csrc/%/migrations.inc: tools/embed_sql.lua $$(wildcard csrc/$$*/migrations/*.sql)
	$(call quietly,SQL)$(LUA) tools/embed_sql.lua $*
endif

$(BUILD)/tests/%: $(BUILD)/obj/csrc/tests/%.o $(TEST_HELPER_OBJECTS) $(LIBRARY)
	@mkdir -p $(@D)
	$(call quietly,LD)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $< $(TEST_HELPER_OBJECTS) $(LIBRARY) $(DEPS_LIBS) -lpthread

$(BUILD)/tests/corpus_%: $(BUILD)/obj/csrc/fuzz/fuzz_%.o $(call objects,csrc/fuzz/input.c csrc/fuzz/replay.c) $(LIBRARY)
	@mkdir -p $(@D)
	$(call quietly,LD)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $(filter %.o,$^) $(LIBRARY) $(DEPS_LIBS)

WRAP_MEMORY = -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=strdup,--wrap=free
MEMORY_OBJECTS = $(call objects,$(MEMORY_SOURCE)) $(TEST_HELPER_OBJECTS)
$(MEMORY_TESTS:%=$(BUILD)/tests/%): $(BUILD)/tests/%: $(BUILD)/obj/csrc/tests/%.o $(MEMORY_OBJECTS) $(LIBRARY)
	@mkdir -p $(@D)
	$(call quietly,LD)$(CC) $(CFLAGS) $(LDFLAGS) $(WRAP_MEMORY) -o $@ $(filter %.o,$^) $(LIBRARY) $(DEPS_LIBS) $(HOST_LIBS) -lpthread

# This one is a Lua of its own.
$(BUILD)/tests/test_lua_out_of_memory: private HOST_LIBS = $(LUA_LIBS)
$(BUILD)/tests/test_lua_out_of_memory: $(call objects,$(LUA_MEMORY_SOURCE)) $(BINDING_OBJECTS)

$(PROXY): spec/support/proxy.c Makefile $(BUILD)/flags
	@mkdir -p $(@D)
	$(call quietly,CC)$(CC) $(ALL_CFLAGS) $(LDFLAGS) -o $@ $<

$(SOAK_PROBE): spec/soak/probe.c Makefile $(BUILD)/flags
	@mkdir -p $(@D)
	$(call quietly,CC)$(CC) $(ALL_CFLAGS) $(LDFLAGS) -shared -o $@ $< $(DEPS_LIBS)

$(STATEMENTS): tools/models/statements.c $(wildcard csrc/*/*_statements.h) $(LIBRARY)
	@mkdir -p $(@D)
	$(call quietly,LD)$(CC) $(ALL_CFLAGS) $(LDFLAGS) -o $@ $< $(LIBRARY) $(DEPS_LIBS) -lpthread

test-programs: $(TEST_PROGRAMS) $(PROXY) $(STATEMENTS) $(SOAK_PROBE)

test-c: $(TEST_PROGRAMS) ## run the C tests
	@$(RUN_TESTS) $(TEST_PROGRAMS)

test-lua: $(MODULE) $(PROXY) $(SOAK_PROBE) $(STATEMENTS) ## run the Lua specs; ARGS='--filter=…' goes to busted
	@$(RUN_TESTS_BESIDE_POSTGRES) '$(BUSTED)'

# The others are the same server by another door.
test-pgbouncer: $(MODULE) $(PROXY) ## run the contract's specs on PostgreSQL behind PgBouncer
	@CONVSTORE_TEST_BACKENDS=postgres_pgbouncer $(RUN_TESTS_BESIDE_POSTGRES) '$(BUSTED) --tags=backend'

test-postgres-doors: $(MODULE) $(PROXY) ## the same by a unix socket, and as the plain owner of a database
	@CONVSTORE_TEST_BACKENDS='postgres_socket postgres_owner' $(RUN_TESTS_BESIDE_POSTGRES) '$(BUSTED) --tags=backend'

# SECONDS: for all of them together, to which the wait for slow ones is added. FAULTS: some of spec/faults/scenarios, such as
# "kill cut:postgres".
FAULTS ?=
faults: SECONDS ?= 300
faults: $(MODULE) $(PROXY) ## kill writers and servers, cut networks, fill disks, and see that nothing is lost; SECONDS=…
	@tools/with_postgres $(LUA) spec/faults/main.lua $(SECONDS) $(FAULTS)

# RETENTION: messages, and the databases that hold them.
RETENTION ?= 1000000 sqlite postgres
stress-retention: $(MODULE) ## archive and purge half of many messages while others append, and print the slowest append
	@tools/with_postgres $(LUA) spec/stress/retention.lua $(firstword $(RETENTION)) '$(wordlist 2,9,$(RETENTION))'

# CYCLES: how long; DATABASES: which; SEED: repeats a run.
CYCLES ?= 200000
DATABASES ?= sqlite postgres
soak: $(MODULE) $(SOAK_PROBE) ## use everything for very long, with errors, and see that memory, descriptors and statements stay few
	@tools/with_postgres $(LUA) spec/soak/main.lua $(CYCLES) '$(DATABASES)' $(SEED)

# ISOLATION: how many seconds users hammer each database, and how many users.
ISOLATION ?= 60 4
isolation: $(MODULE) ## try to get at another user's rows by every method, by raw SQL and through shared connections
	@$(RUN_TESTS_BESIDE_POSTGRES) '$(BUSTED) spec/isolation' '$(LUA) spec/isolation/hammer.lua $(ISOLATION)'

# The whole story ------------------------------------------------------------------------------------------------------
# What is missing is installed first, so what follows is a make of its own that looks for it again.
demo: ## talk with a bot that remembers; its memory is DEMO_DB
	@tools/install_deps demo
	@$(MAKE) all
	@$(LUA) examples/eliza.lua $(DEMO_DB)

# Specs wait much more than they work, so two halves of them run at once, each beside a server of its own.
half = $(shell printf '%s\n' $(SPECS) | awk 'NR % 2 == $(1)')
test: ## run all tests; the last line is "N passed, N failed"
	@tools/install_deps test
	@$(MAKE) all test-programs || { echo "0 passed, 1 failed"; exit 1; }
	@$(RUN_TESTS) --together 'tools/with_postgres $(BUSTED) $(call half,0)' \
	  'tools/with_postgres $(BUSTED) $(call half,1)' 'tools/with_postgres $(RUN_TESTS) $(TEST_PROGRAMS)'

check: ## everything that CI runs
	.ci/run

bench: ## measure against plain C and what people would use instead; makes docs/benchmarks.md
	@tools/install_deps bench
	@$(MAKE) all
	bench/run

# Harder looks ---------------------------------------------------------------------------------------------------------
# Debian's Lua is not instrumented, so the sanitizer is preloaded into it, and into the workers that specs start.
# -z nodelete keeps the module in memory when Lua closes, since a leak out of an unloaded module has no names.
ASAN_MAKE = $(MAKE) BUILD=build/asan CC=gcc LDFLAGS='-Wl,-z,nodelete' \
  CFLAGS='-O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all'
ASAN_LUA = env LD_PRELOAD=$(shell gcc -print-file-name=libasan.so):$(abspath $(BUILD))/unpreload.so $(LUA)
asan: ## run all tests with AddressSanitizer and UndefinedBehaviorSanitizer
	@$(ASAN_MAKE) all test-programs build/asan/unpreload.so
	@ASAN_OPTIONS=detect_leaks=1:detect_stack_use_after_return=1:strict_string_checks=1 \
	  UBSAN_OPTIONS=print_stacktrace=1 $(ASAN_MAKE) sanitized-tests

.PHONY: oom fuzz fuzz-methods fuzz-keep fuzz-programs
# OOM=7 for each seventh place only.
OOM ?= 1
OOM_LUA = $(BUILD)/tests/test_lua_out_of_memory
oom: $(MEMORY_TESTS:%=$(BUILD)/tests/%) ## let each allocation fail in turn, under every function: in Lua, SQLite, libpq and the library
	@CONVSTORE_TEST_EVERY_FAULT=1 CONVSTORE_TEST_OOM=$(OOM) $(RUN_TESTS_BESIDE_POSTGRES) \
	  '$(OOM_LUA) call_every' '$(OOM_LUA) sqlite__survives_one' '$(OOM_LUA) sqlite__survives_two' '$(OOM_LUA) sqlite__survives_memory' \
	  '$(OOM_LUA) postgres__survives_one' '$(OOM_LUA) postgres__survives_two' '$(OOM_LUA) postgres__survives_memory' \
	  $(BUILD)/tests/test_search_memory $(BUILD)/tests/test_out_of_memory

# Fuzzing: FUZZ seconds for each target; what is new is gathered below build/fuzz, and `make fuzz-keep` takes the inputs
# that reach something new into the tree.
FUZZ ?= 10
FUZZ_MAKE = $(MAKE) BUILD=build/fuzz CC=clang \
  CFLAGS='-O1 -g -fno-omit-frame-pointer -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all'
fuzz: ## look for inputs that break a parser or a method, FUZZ seconds each (10)
	@tools/install_deps ci
	@$(FUZZ_MAKE) fuzz-programs
	@$(ASAN_MAKE) all build/asan/unpreload.so
	@tools/fuzz run $(FUZZ) $(FUZZ_NAMES)
	@$(ASAN_MAKE) fuzz-methods

# The module as a sanitized Lua program uses it: every method, with random arguments. SEED repeats a run.
SEED ?=
fuzz-methods:
	@ASAN_OPTIONS=detect_leaks=1:detect_stack_use_after_return=1:strict_string_checks=1 UBSAN_OPTIONS=print_stacktrace=1 \
	  tools/with_postgres sh -c 'for backend in memory file $${CONVSTORE_TEST_POSTGRES_URL:+postgres}; do \
	  $(ASAN_LUA) spec/fuzz/methods.lua $(FUZZ) "$(SEED)" $$backend || exit 1; done'

fuzz-keep:
	@$(FUZZ_MAKE) fuzz-programs
	@tools/fuzz keep $(FUZZ_NAMES)

fuzz-programs: $(FUZZ_NAMES:%=$(BUILD)/%)

$(FUZZ_NAMES:%=$(BUILD)/%): $(BUILD)/%: $(BUILD)/obj/csrc/fuzz/fuzz_%.o $(call objects,csrc/fuzz/input.c) $(LIBRARY)
	$(call quietly,LD)$(CC) $(CFLAGS) $(LDFLAGS) -fsanitize=fuzzer -o $@ $(filter %.o,$^) $(LIBRARY) $(DEPS_LIBS)

$(BUILD)/unpreload.so: tools/unpreload.c
	@mkdir -p $(@D)
	$(call quietly,CC)$(CC) $(ALL_CFLAGS) -fno-sanitize=all -shared -o $@ $<

sanitized-tests:
	@CONVSTORE_TEST_LUA="$(ASAN_LUA)" $(RUN_TESTS_BESIDE_POSTGRES) $(TEST_PROGRAMS) '$(ASAN_LUA) $(BUSTED:$(LUA)%=%)'

# Errors and definite leaks are fatal. What Lua still reaches when it exits is no leak.
MEMCHECK = $(VALGRIND) --quiet --error-exitcode=99 --leak-check=full --show-leak-kinds=definite \
  --errors-for-leak-kinds=definite --keep-debuginfo=yes --child-silent-after-fork=yes
# The specs are those that reach most of the binding without much data: valgrind takes thirty times the time.
VALGRIND_SPECS = $(patsubst %,spec/%_spec.lua,annotate_redact conversation errors handle isolation message migration \
  open transaction user users_option postgres_isolation postgres_retry postgres_migration)
# Without test_text, which tries millions of texts, and the kept inputs of fuzzers; the sanitizers watch those. Without
# test_lua_out_of_memory, whose malloc is not valgrind's.
VALGRIND_PROGRAMS = $(filter-out %/test_text %/test_lua_out_of_memory $(BUILD)/tests/corpus_%,$(TEST_PROGRAMS))
valgrind: all test-programs ## run the C tests and a short set of specs with valgrind
	@$(RUN_TESTS_BESIDE_POSTGRES) $(VALGRIND_PROGRAMS:%='$(MEMCHECK) %') $(VALGRIND_SPECS:%='$(MEMCHECK) $(BUSTED) %')

# Each spec by itself: what busted keeps of all specs would have to be walked over and over. Without the attacks, which
# compare texts by the ten thousand: they call nothing that other specs do not call.
GC_SPECS = $(filter-out spec/isolation/% spec/soak/%,$(SPECS))
gc: all ## run the specs with an aggressive garbage collector
	@$(RUN_TESTS_BESIDE_POSTGRES) $(GC_SPECS:%='$(BUSTED) --helper=spec/support/aggressive_gc.lua %')

coverage: ## run all tests and print how many lines of each C file they reached
	@rm -rf build/coverage
	@$(MAKE) BUILD=build/coverage CC=gcc CFLAGS='-O0 -g --coverage' test
	@$(MAKE) BUILD=build/coverage CC=gcc CFLAGS='-O0 -g --coverage' coverage-report

coverage-report:
	@find $(BUILD)/obj -name '*.gcda' -not -path '*/tests/*' | sort | xargs $(GCOV) --no-output | $(LUA) tools/coverage.lua

# What is read --------------------------------------------------------------------------------------------------------
DOCUMENTS := README.md CONTRIBUTING.md CHANGELOG.md examples/README.md $(sort $(wildcard docs/*.md docs/decisions/*.md))

docs: ## make the site of the documents: build/site/index.html
	@tools/install_deps docs
	@$(MAKE) docs-diagrams
	@$(LUA) tools/docs/site/build.lua $(BUILD)/site $(VERSION)

docs-check: all ## run the documents' examples, follow their links, look at their spelling
	@tools/install_deps test
	@tools/install_deps docs
	@status=0; \
	tools/with_postgres $(LUA) tools/docs/run_blocks.lua $(DOCUMENTS) || status=1; \
	$(LUA) tools/docs/links.lua $(DOCUMENTS) || status=1; \
	$(CODESPELL) || status=1; \
	$(LUA) tools/docs/record.lua | cmp - docs/eliza.svg || status=1; \
	$(LUA) tools/docs/site/build.lua $(BUILD)/site $(VERSION) || status=1; \
	exit $$status

recording: all ## play and draw the terminal session of the README: docs/eliza.svg
	@$(LUA) tools/docs/record.lua > $(BUILD)/eliza.svg && cp $(BUILD)/eliza.svg docs/eliza.svg

# Style ----------------------------------------------------------------------------------------------------------------
C_SOURCES := $(LIB_SOURCES) $(BINDING_SOURCES) $(TEST_SOURCES) $(TEST_HELPER_SOURCES) spec/support/proxy.c \
  spec/soak/probe.c \
  tools/models/statements.c \
  $(sort $(wildcard examples/*.c bench/*.c))
C_SOURCES += $(MEMORY_SOURCE) $(LUA_MEMORY_SOURCE) $(FUZZ_SOURCES) csrc/fuzz/input.c csrc/fuzz/replay.c
C_HEADERS := $(sort $(wildcard csrc/*.h csrc/*/*.h))

# Not cppcheck's unusedFunction, which knows no public interface. Reasons for what is suppressed:
# missingInclude*: system headers are the compilers' matter, and cppcheck cannot read Lua's;
# uninitvar, ctuuninitvar: taken for use are a mere address, and what a status guards; clang-tidy looks closer;
# variableScope: names that the cleanup at the end of a function needs are declared at its top, often with neighbours.
CPPCHECK_FLAGS = --std=c11 --language=c --library=posix -D_POSIX_C_SOURCE=200809L --inline-suppr --quiet \
  --enable=warning,style,performance,portability --error-exitcode=1 \
  --suppress=missingInclude --suppress=missingIncludeSystem --suppress=uninitvar --suppress=ctuuninitvar \
  --suppress=variableScope
# clang-tidy gets one file at a time: with several, version 14 takes every va_list after the first for uninitialised.
lint: all ## look for mistakes: clang-tidy, cppcheck, luacheck and our own rules
	@status=0; \
	tools/lint_rules $(MODULE) || status=1; \
	$(LUACHECK) --quiet --no-color . .busted tools/convstore || status=1; \
	$(CPPCHECK) $(CPPCHECK_FLAGS) $(LIB_SOURCES) $(BINDING_SOURCES) || status=1; \
	echo $(C_SOURCES) | xargs -n 1 -P 4 sh -c '$(CLANG_TIDY) --quiet "$$0" -- $(ALL_CFLAGS) 2>/dev/null' || status=1; \
	exit $$status

format: ## lay out the C code as .clang-format says
	$(CLANG_FORMAT) -i $(C_SOURCES) $(C_HEADERS)

format-check: ## fail where `make format` would change something
	$(CLANG_FORMAT) --dry-run --Werror $(C_SOURCES) $(C_HEADERS)

embed: ## make csrc/*/migrations.inc from the SQL files
	@for backend in $(MIGRATIONS:csrc/%/migrations.inc=%); do $(LUA) tools/embed_sql.lua $$backend || exit 1; done

# Documents ------------------------------------------------------------------------------------------------------------
models: ## write what docs/conversation-models.md has from the migrations and statements (needs a PostgreSQL server)
	@CONVSTORE_MODELS=write $(MAKE) test-lua ARGS='spec/models_spec.lua --filter="has the fields"'
	@$(MAKE) docs-diagrams

docs-diagrams: ## draw docs/diagrams/*.svg from their sources (needs graphviz)
	@for source in docs/diagrams/*.dot; do dot -Tsvg -o "$${source%.dot}.svg" "$$source" || exit 1; done

# Installing -----------------------------------------------------------------------------------------------------------
VERSION = $(shell sed -n 's/^\#define CONVSTORE_VERSION "\(.*\)"/\1/p' csrc/convstore.h)

$(BUILD)/convstore.pc: csrc/convstore.h Makefile $(BUILD)/flags
	@mkdir -p $(@D)
	@printf '%s\n' 'prefix=$(PREFIX)' 'libdir=$(LIBDIR)' 'includedir=$(INCLUDEDIR)' '' 'Name: convstore' \
	  'Description: conversations of chat bots, kept in SQLite or PostgreSQL' 'Version: $(VERSION)' \
	  'Libs: -L$${libdir} -lconvstore $(DEPS_LIBS)' 'Cflags: -I$${includedir}' > $@

# The command's script, with the Lua that it is installed for; its manual page and completion, from its table.
$(BUILD)/bin/convstore: tools/convstore Makefile $(BUILD)/flags
	@mkdir -p $(@D)
	@sed '1s|.*|#!$(if $(findstring /,$(LUA)),$(LUA),/usr/bin/env $(LUA))|' $< > $@

$(BUILD)/convstore.1: tools/command_docs.lua $(COMMAND_SOURCES) csrc/convstore.h
	@mkdir -p $(@D)
	@$(LUA) $< man $(VERSION) > $@

$(BUILD)/convstore.bash: tools/command_docs.lua $(COMMAND_SOURCES)
	@mkdir -p $(@D)
	@$(LUA) $< bash > $@

COMMAND_FILES := $(BUILD)/bin/convstore $(BUILD)/convstore.1 $(BUILD)/convstore.bash
install: all $(BUILD)/convstore.pc $(COMMAND_FILES) ## install below DESTDIR and PREFIX (/usr/local)
	install -d $(DESTDIR)$(LUADIR)/convstore/command $(DESTDIR)$(CLIBDIR)/convstore $(DESTDIR)$(INCLUDEDIR) \
	  $(DESTDIR)$(LIBDIR)/pkgconfig $(DESTDIR)$(BINDIR) $(DESTDIR)$(MANDIR)/man1 $(DESTDIR)$(COMPLETIONSDIR)
	install -m 644 $(LUA_SOURCES) $(DESTDIR)$(LUADIR)/convstore
	install -m 644 $(COMMAND_SOURCES) $(DESTDIR)$(LUADIR)/convstore/command
	install -m 755 $(BUILD)/bin/convstore $(DESTDIR)$(BINDIR)
	install -m 644 $(BUILD)/convstore.1 $(DESTDIR)$(MANDIR)/man1
	install -m 644 $(BUILD)/convstore.bash $(DESTDIR)$(COMPLETIONSDIR)/convstore
	install -m 755 $(MODULE) $(DESTDIR)$(CLIBDIR)/convstore
	install -m 644 csrc/convstore.h $(DESTDIR)$(INCLUDEDIR)
	install -m 644 $(LIBRARY) $(DESTDIR)$(LIBDIR)
	install -m 644 $(BUILD)/convstore.pc $(DESTDIR)$(LIBDIR)/pkgconfig

uninstall: ## remove what `make install` with the same settings installed
	rm -f $(LUA_SOURCES:lua/%=$(DESTDIR)$(LUADIR)/%) $(COMMAND_SOURCES:lua/%=$(DESTDIR)$(LUADIR)/%) \
	  $(DESTDIR)$(BINDIR)/convstore $(DESTDIR)$(MANDIR)/man1/convstore.1 $(DESTDIR)$(COMPLETIONSDIR)/convstore \
	  $(DESTDIR)$(CLIBDIR)/convstore/core.so \
	  $(DESTDIR)$(INCLUDEDIR)/convstore.h $(DESTDIR)$(LIBDIR)/libconvstore.a $(DESTDIR)$(LIBDIR)/pkgconfig/convstore.pc
	-rmdir $(DESTDIR)$(LUADIR)/convstore/command $(DESTDIR)$(LUADIR)/convstore $(DESTDIR)$(CLIBDIR)/convstore

# Releasing ------------------------------------------------------------------------------------------------------------
.PHONY: rockspec dist
rockspec: ## make the rockspec of this version from that of development
	@$(LUA) tools/release_rockspec.lua $(VERSION) > rockspec/convstore-$(VERSION)-1.rockspec

dist: ## make the tarball of this version from what is committed, with its rockspec, in BUILD/dist
	@tools/dist $(VERSION) $(BUILD)/dist

clean: ## remove what was built
	rm -rf build convstore
	find csrc -name '*.o' -delete

-include $(shell find $(BUILD)/obj -name '*.d' 2>/dev/null)
