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
PKG_CONFIG ?= pkg-config
CLANG_FORMAT ?= clang-format
CLANG_TIDY ?= clang-tidy
LUACHECK ?= luacheck
# 1: show the commands of the build.
V ?= 0
# More arguments for busted, such as ARGS='--filter=append'.
ARGS ?=

# What they are built with ---------------------------------------------------------------------------------------------
WARNINGS = -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wundef
ifeq ($(WERROR),1)
WARNINGS += -Werror
endif

# $(call pkg,what,modules,fallback): what pkg-config says, or the fallback where it or the module is missing.
pkg = $(shell $(PKG_CONFIG) $(1) $(2) 2>/dev/null || echo $(3))

DEPS_CFLAGS := $(call pkg,--cflags,sqlite3 jansson,)
DEPS_LIBS := $(call pkg,--libs,sqlite3 jansson,-lsqlite3 -ljansson)
LUA_CFLAGS := $(if $(LUA_INCDIR),-I$(LUA_INCDIR),$(call pkg,--cflags,lua5.4,-I/usr/include/lua5.4))

# POSIX 2008: clocks and threads, which -std=c11 alone hides. The rockspec defines the same.
ALL_CFLAGS = -std=c11 -D_POSIX_C_SOURCE=200809L -fPIC -fvisibility=hidden $(WARNINGS) $(CPPFLAGS) $(CFLAGS) \
  $(DEPS_CFLAGS) $(LUA_CFLAGS)

LIB_SOURCES := $(sort $(wildcard csrc/core/*.c csrc/sqlite/*.c))
BINDING_SOURCES := $(sort $(wildcard csrc/binding/*.c))
TEST_SOURCES := $(sort $(wildcard csrc/tests/test_*.c))
TEST_HELPER_SOURCES := $(filter-out $(TEST_SOURCES),$(sort $(wildcard csrc/tests/*.c)))
LUA_SOURCES := $(sort $(wildcard lua/convstore/*.lua))
MIGRATIONS := $(patsubst csrc/%/migrations/,csrc/%/migrations.inc,$(wildcard csrc/*/migrations/))

objects = $(patsubst %.c,$(BUILD)/obj/%.o,$(1))
LIB_OBJECTS := $(call objects,$(LIB_SOURCES))
BINDING_OBJECTS := $(call objects,$(BINDING_SOURCES))
TEST_HELPER_OBJECTS := $(call objects,$(TEST_HELPER_SOURCES))
TEST_PROGRAMS := $(patsubst csrc/tests/%.c,$(BUILD)/tests/%,$(TEST_SOURCES))

LIBRARY := $(BUILD)/libconvstore.a
MODULE := $(BUILD)/convstore/core.so

# Lua sees this checkout first, from any folder: specs start processes elsewhere. The versioned variables would hide
# the plain ones, so they are joined to them.
export LUA_PATH := $(CURDIR)/lua/?.lua;$(CURDIR)/lua/?/init.lua;$(or $(LUA_PATH_5_4),$(LUA_PATH),;)
export LUA_CPATH := $(CURDIR)/$(BUILD)/?.so;$(or $(LUA_CPATH_5_4),$(LUA_CPATH),;)
unexport LUA_PATH_5_4 LUA_CPATH_5_4

RUN_TESTS = $(LUA) tools/run_tests.lua
# Through $(LUA), since Debian's busted starts whichever Lua is the default one.
BUSTED = $(LUA) "$$(command -v busted)" --ignore-lua --output=spec/support/summary.lua --cpath="./$(BUILD)/?.so" $(ARGS)

# $(call quietly,WORD): shows a word and the target instead of the command, unless V=1.
quietly = $(if $(filter 0,$(V)),@echo "  $(1)	$@";,)

.DELETE_ON_ERROR:
# Keeps the tests' objects, which are intermediate files to make.
.SECONDARY:
.PHONY: all help test-programs test-c test-lua clean FORCE

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

test-programs: $(TEST_PROGRAMS)

test-c: $(TEST_PROGRAMS) ## run the C tests
	@$(RUN_TESTS) $(TEST_PROGRAMS)

test-lua: $(MODULE) ## run the Lua specs; ARGS='--filter=…' goes to busted
	@$(RUN_TESTS) '$(BUSTED)'

clean: ## remove what was built
	rm -rf build convstore
	find csrc -name '*.o' -delete

-include $(shell find $(BUILD)/obj -name '*.d' 2>/dev/null)
