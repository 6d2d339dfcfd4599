-- The servers that the other specs need. Without them those are silent, so this one speaks.
local backends = require "spec.support.backends"
local postgres = require "spec.support.postgres"

describe("a PostgreSQL server #postgres", function()
  local function needs(what, is_there)
    it("is there for " .. what, function()
      if is_there then
        return
      end
      local message = "nothing is tested on PostgreSQL: run this by tools/with_postgres, as make test does"
      assert.not_equal("true", os.getenv("CI"), message)
      pending(message)
    end)
  end

  needs("the contract", postgres.is_there())
  needs("PgBouncer", backends.postgres_pgbouncer)

  if postgres.is_there() then
    it("is new enough, keeps what it is given through a crash, and speaks UTF-8", function()
      local database = backends.postgres.place()
      finally(backends.clean)
      assert.is_true(tonumber(database:sql("SHOW server_version_num")) >= 130000)
      for _, setting in ipairs({ "fsync", "full_page_writes", "synchronous_commit" }) do
        assert.equal("on\n", database:sql("SHOW " .. setting))
      end
      assert.equal("UTF8\n", database:sql("SHOW server_encoding"))
    end)
  end
end)
