-- Bytes, money and times, of both kinds.
describe("units", function()
  local usage = { id = 1, organisation = { id = 1 }, endpoint = { id = 7 }, operator = { name = "Telekom" }, cost = 0.00558275,
                  currency = { code = "EUR" }, volume = { rx = 0.0138, tx = 0.008531, total = 0.022331 },
                  start_timestamp = "2019-07-17 08:21:11", end_timestamp = "2019-07-17 08:22:00" }
  local event = { id = 2, organisation = { id = 1 }, event_type = { id = 5 }, timestamp = "2019-07-12T17:04:59.000+0000",
                  detail = { name = "SFR", volume = { rx = 1, tx = 0, total = 1 } } }

  it("writes usage", function()
    assert.same({ { id = 1, kind = "usage", at = "2019-07-17T08:22:00.000Z", endpoint = 7, operator = "Telekom", bytes = 22331,
                    bytes_down = 13800, bytes_up = 8531, cost = "0.0056 EUR" } }, stream("units.lua"):run(usage).records)
  end)

  it("writes events, with a MB of its own size", function()
    assert.same({ { id = 2, kind = "event", at = "2019-07-12T17:04:59.000Z", operator = "SFR", bytes = 1048576, bytes_down = 1048576,
                    bytes_up = 0 } }, stream("units.lua", { parameters = { bytes_per_mb = 1048576 } }):run(event).records)
  end)

  it("leaves out what a record lacks", function()
    local login = { id = 3, organisation = { id = 1 }, event_type = { id = 6 }, timestamp = "2019-05-10T05:42:00.000+0000" }
    assert.same({ { id = 3, kind = "event", at = "2019-05-10T05:42:00.000Z" } }, stream("units.lua"):run(login).records)
  end)
end)
