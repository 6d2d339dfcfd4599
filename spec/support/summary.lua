-- How busted prints our runs: its plain terminal output, then the line that tools/run_tests.lua adds up.
-- Pending specs are counted on a line of their own, so that a skipped one is never taken for a passed one.
-- Its "failed" counts failures and errors, those outside of tests (a spec that cannot be loaded) included.

return function(options)
  local busted = require "busted"
  local handler = require "busted.outputHandlers.plainTerminal"(options)

  -- Subscribed after busted's own handler, so it comes after the details.
  busted.subscribe({ "suite", "end" }, function()
    if handler.pendingsCount > 0 then
      io.write(string.format("\n%d pending, listed above\n", handler.pendingsCount))
    end
    io.write(string.format("\n%d passed, %d failed\n", handler.successesCount,
      handler.failuresCount + handler.errorsCount))
    io.flush()
    return nil, true
  end)

  return handler
end
