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
    assert.equal(("file://convstore-%s.tar.gz"):format(version), rockspec.source.url)
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
    assert.truthy(released or planned and planned:find(version, 1, true), "CHANGELOG.md knows no " .. version)
  end)
end)

describe("the tarball of the release", function()
  if not shell.run("git rev-parse --git-dir") then
    assert(os.getenv("CI") ~= "true", "CI is not in a clone")
    pending("is not tested: this is no clone, or there is no git")
    return
  end

  local folder

  -- A repository of its own, so that the test may change and commit.
  before_each(function()
    folder = shell.folder()
    local ok, output = shell.run(("tree=%s/tree && mkdir $tree && "):format(folder) ..
      "git ls-files -z | tar -c --null -T - | tar -x -C $tree && cd $tree && git init -q . && " ..
      "git config user.name n && git config user.email n@example.org && git add -A && git commit -qm all")
    assert(ok, output)
  end)

  after_each(function()
    shell.remove(folder)
  end)

  local function dist(before)
    return shell.run(("cd %s/tree && { %s; } && make dist"):format(folder, before))
  end

  it("has the same bytes each time, whoever makes it", function()
    local ok, output = dist("true")
    assert.is_true(ok, output)
    local path = folder .. "/tree/" .. output:match("([^\n]+)\n$")
    local bytes = shell.read(path)
    assert.is_true(#bytes > 100000)
    assert(os.remove(path))
    ok, output = dist("umask 077; touch csrc/convstore.h; export TZ=Asia/Tokyo; git config tar.umask 0")
    assert.is_true(ok, output)
    assert.is_true(bytes == shell.read(path))
  end)

  it("is refused where something is not committed, or where a file would be missing in it", function()
    local function refused(before, why)
      local ok, output = dist(before)
      assert.is_false(ok)
      assert.truthy(output:find(why, 1, true), output)
    end
    refused("echo >> csrc/core/time.c", " M csrc/core/time.c")
    refused("git checkout -q . && touch csrc/core/new.c", "?? csrc/core/new.c")
    refused("git clean -qf && git rm -q csrc/core/time.c && git commit -qm more",
      "the rockspec names what the tarball lacks: csrc/core/time.c")
    refused("git reset -q --hard HEAD^ && echo 'lua export-ignore' > .gitattributes && " ..
      "git add -A && git commit -qm more", "< lua/convstore/init.lua")
  end)
end)
