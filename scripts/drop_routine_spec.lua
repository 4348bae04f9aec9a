-- What is left out, and what passes in any case.
describe("drop_routine", function()
  local script
  local function event(type, severity)
    return { id = 1, organisation = { id = 1 }, event_type = { id = type }, event_severity = { id = severity } }
  end

  before_each(function() script = stream("drop_routine.lua") end)

  it("drops routine types, and says so", function()
    for _, type in ipairs { 1, 2, 3, 4 } do
      assert.equal("routine", script:run(event(type, 0)).reason)
    end
  end)

  it("keeps other types, whatever their severity", function()
    assert.is_true(script:run(event(5, 0)).kept)
  end)

  it("keeps a routine type that is a warning", function()
    assert.is_true(script:run(event(1, 1)).kept)
  end)

  it("keeps usage", function()
    assert.is_true(script:run({ id = 1, organisation = { id = 1 }, volume = { total = 1 } }).kept)
  end)

  it("takes both limits from its parameters", function()
    script = stream("drop_routine.lua", { parameters = { types = { 5 }, least_severity = 2 } })
    assert.is_true(script:run(event(1, 0)).kept)
    assert.is_false(script:run(event(5, 1)).kept)
    assert.is_true(script:run(event(5, 2)).kept)
  end)
end)
