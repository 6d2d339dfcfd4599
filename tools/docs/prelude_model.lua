--- For examples that ask a model: what the reader has, and a test has not.
function ask_the_model(messages) -- luacheck: ignore 111
  return ("I have heard %d messages so far."):format(#messages)
end
