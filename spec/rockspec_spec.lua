-- The version stands in csrc/convstore.h alone: the rockspec of the release and the changelog must agree with it.
local shell = require "spec.support.shell"

local LUA = os.getenv("CONVSTORE_TEST_LUA") or "lua5.4"

describe("the rockspec of the release", function()
  local version = shell.read("csrc/convstore.h"):match('#define CONVSTORE_VERSION "([^"]+)"')
  local path = ("rockspec/convstore-%s-1.rockspec"):format(version)

  local function load_rockspec(name)
    local rockspec = {}
    assert(loadfile(name, "t", rockspec))()
    return rockspec
  end

  it("is there under the version's name, and has its number and its tarball", function()
    local rockspec = load_rockspec(path)
    assert.equal(version .. "-1", rockspec.version)
    assert.equal("file://convstore-" .. version .. ".tar.gz", rockspec.source.url)
    assert.equal("convstore-" .. version, rockspec.source.dir)
  end)

  it("is that of development in all else (else: make rockspec)", function()
    local release, development = load_rockspec(path), load_rockspec("rockspec/convstore-dev-1.rockspec")
    for _, rockspec in ipairs({ release, development }) do
      rockspec.version, rockspec.source = nil, nil
    end
    assert.same(development, release)
    local ok, made = shell.run(LUA .. " tools/release_rockspec.lua " .. version)
    assert.is_true(ok, made)
    assert.equal(made, shell.read(path))
  end)

  it("is of a version that the changelog has, or that is to come", function()
    local changelog = shell.read("CHANGELOG.md")
    local released = changelog:find("\n## [" .. version .. "] - ", 1, true)
    local planned = changelog:match("\n## %[Unreleased%]\n\n([^\n]*)\n")
    assert.truthy(released or planned and planned:find(version, 1, true), version .. " is not in CHANGELOG.md")
  end)
end)

describe("the tarball of the release", function()
  local folder

  -- A repository of its own, so that the test may change and commit.
  before_each(function()
    folder = shell.folder()
    local ok, output = shell.run(([[
      git rev-parse --git-dir && mkdir %s/tree && git ls-files -z | tar -c --null -T - | tar -x -C %s/tree && cd %s/tree &&
      git init -q . && git add -A && git -c user.name=n -c user.email=e commit -qm all]]):gsub("%%s", shell.quote(folder)))
    assert(ok, output)
  end)

  after_each(function()
    shell.remove(folder)
  end)

  local function dist(before)
    return shell.run(("cd %s/tree && { %s; } && make --no-print-directory dist"):format(shell.quote(folder), before or "true"))
  end

  it("has the same bytes each time, whoever makes it", function()
    local ok, output = dist()
    assert.is_true(ok, output)
    local path = folder .. "/tree/" .. output:match("([^\n]+)\n$")
    local bytes = shell.read(path)
    assert.is_true(#bytes > 100000)
    assert(os.remove(path))
    ok, output = dist("umask 077; touch csrc/convstore.h; export TZ=Asia/Tokyo LC_ALL=C")
    assert.is_true(ok, output)
    assert.is_true(bytes == shell.read(path))
  end)

  it("is refused where something is not committed, or where a file would be missing in it", function()
    local ok, output = dist("echo >> csrc/core/time.c")
    assert.is_false(ok)
    assert.truthy(output:find(" M csrc/core/time.c", 1, true), output)
    ok, output = dist("git checkout -q . && touch csrc/core/new.c")
    assert.is_false(ok)
    assert.truthy(output:find("?? csrc/core/new.c", 1, true), output)
    local commit = "git add -A && git -c user.name=n -c user.email=e commit -qm more"
    ok, output = dist("rm csrc/core/new.c && git rm -q csrc/core/time.c && " .. commit)
    assert.is_false(ok)
    assert.truthy(output:find("csrc/core/time.c", 1, true), output)
    ok, output = dist("git revert --no-edit HEAD >/dev/null 2>&1; echo 'lua export-ignore' > .gitattributes && " .. commit)
    assert.is_false(ok)
    assert.truthy(output:find("lua/convstore/init.lua", 1, true), output)
  end)
end)
