-- Totals so far, by endpoint and hour, in whatever order records come.
describe("hourly_usage", function()
  local script
  local function used(mb, at, endpoint)
    return script:run({ id = 1, organisation = { id = 1 }, endpoint = { id = endpoint or 7 }, volume = { total = mb },
                        end_timestamp = "2026-11-20 " .. at }).records[1]
  end

  before_each(function() script = stream("hourly_usage.lua") end)

  it("adds up an hour, exactly", function()
    assert.same({ endpoint = 7, from = "2026-11-20T08:00:00.000Z", mb = 0.1 }, used(0.1, "08:00:00"))
    assert.same({ endpoint = 7, from = "2026-11-20T08:00:00.000Z", mb = 0.3 }, used(0.2, "08:59:59"))
  end)

  it("begins anew with each hour and endpoint", function()
    used(1, "08:00:00")
    assert.equal(2, used(2, "09:00:00").mb)
    assert.equal(4, used(4, "08:10:00", 8).mb)
  end)

  it("counts a late record in its own hour", function()
    used(1, "08:50:00")
    used(2, "09:10:00")
    assert.equal(5, used(4, "08:10:00").mb)
  end)

  it("takes days", function()
    script = stream("hourly_usage.lua", { parameters = { hours = 24 } })
    used(1, "08:50:00")
    assert.same({ endpoint = 7, from = "2026-11-20T00:00:00.000Z", mb = 3 }, used(2, "23:59:59"))
  end)

  it("does not look at events", function()
    assert.equal("match", script:run({ id = 1, organisation = { id = 1 }, event_type = { id = 1 } }).reason)
  end)
end)
