-- Both kinds of record, and those that name no country.
describe("one_country", function()
  local function event(country)
    return { id = 1, organisation = { id = 1 }, event_type = { id = 1 }, detail = { country = { name = country } } }
  end
  local function usage(country)
    return { id = 2, organisation = { id = 1 }, volume = { total = 1 }, operator = { country = { name = country } } }
  end
  local login = { id = 3, organisation = { id = 1 }, event_type = { id = 6 } }

  it("keeps Germany, in events and in usage", function()
    local script = stream("one_country.lua")
    assert.is_true(script:run(event("Germany")).kept)
    assert.is_true(script:run(usage("Germany")).kept)
    assert.equal("another country", script:run(event("France")).reason)
    assert.equal("another country", script:run(usage("France")).reason)
  end)

  it("keeps the country that it is given", function()
    local script = stream("one_country.lua", { parameters = { country = "France" } })
    assert.is_true(script:run(usage("France")).kept)
    assert.is_false(script:run(usage("Germany")).kept)
  end)

  it("drops records without a country, unless they are wanted", function()
    assert.equal("no country", stream("one_country.lua"):run(login).reason)
    assert.is_true(stream("one_country.lua", { parameters = { unknown = true } }):run(login).kept)
  end)
end)
