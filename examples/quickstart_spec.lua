-- Each case hands one record to the script and looks at what a stream would send on.
describe("quickstart", function()
  local fleet, usage, event

  before_each(function()
    fleet = stream("quickstart.lua", { parameters = { above_mb = 0.5 } })
    usage = { id = 1, organisation = { id = 80025, name = "Fleet" }, endpoint = { id = 7 },
              volume = { total = 1.5 }, cost = 0.02, end_timestamp = "2026-11-20 00:01:29" }
    event = { id = 2, organisation = { id = 80025, name = "Fleet" }, timestamp = "2026-11-20T08:00:00.000+0000",
              event_type = { id = 1, description = "Update location" }, event_severity = { id = 0 } }
  end)

  it("flattens a usage record", function()
    assert.same({ { kind = "usage", id = 1, at = "2026-11-20 00:01:29", what = "Usage", customer = "Fleet",
                    endpoint = 7, mb = 1.5, cost = 0.02 } }, fleet:run(usage).records)
  end)

  it("drops little data, and says why", function()
    usage.volume.total = 0.4
    local result = fleet:run(usage)
    assert.is_false(result.kept)
    assert.equal("little data", result.reason)
  end)

  it("has a default for the limit", function()
    usage.volume.total = 0.4
    assert.truthy(stream("quickstart.lua"):run(usage).kept)
  end)

  describe("of events", function()
    it("drops information", function()
      assert.equal("information", fleet:run(event).reason)
    end)

    it("keeps warnings", function()
      event.event_severity.id = 1
      assert.equal("Update location", fleet:run(event).records[1].what)
    end)

    it("keeps the end of a session, whatever its severity", function()
      event.event_type = { id = 5, description = "Delete PDP Context" }
      event.detail = { volume = { total = 0.022331 } }
      assert.equal(0.022331, fleet:run(event).records[1].mb)
    end)
  end)

  it("is an error for a usage record without a volume", function()
    usage.volume, usage.start_timestamp = nil, "2026-11-20 00:00:00"
    assert.equal(8, fleet:run(usage).error.line)
  end)
end)
