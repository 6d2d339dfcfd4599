-- Real conversations: all of them written here, read back by another process, compared field by field.
local backends = require "spec.support.backends"
local real_data = require "spec.support.real_data"

for _, backend in ipairs(backends) do
  if backend.shared then
    describe("real conversations " .. backend.tags, function()
      after_each(backends.clean)

      if not real_data.is_there() then
        pending("are not tested: there is no data in " .. real_data.folder() .. " (CONVSTORE_TEST_DATA)")
        return
      end

      it("come back from another process as they were written", function()
        local store, database = backend.fresh()
        local conversations, messages = real_data.write(store, real_data.folder())
        store:close()
        assert.equal(700, conversations)
        assert.equal(1914 + 1880 + 1167, messages)
        assert.equal("700\t4961\n", database:run("verify_real_data", { real_data.folder() }))
      end)

      it("may be written twice and are there once", function()
        local store, database = backend.fresh()
        for _ = 1, 2 do
          assert.equal(700, (real_data.write_with_ids(store, real_data.folder())))
        end
        assert.equal("700\t4961\n", database:run("verify_real_data", { real_data.folder() }))
      end)
    end)
  end
end
