-- What a CloudEvents receiver is sent, and what its answers mean.
describe("cloudevents", function()
  local usage = { id = 174000000, kind = "usage", organisation = { id = 7 }, endpoint = { id = 42 },
                  start_timestamp = "2026-11-20 00:00:00", end_timestamp = "2026-11-20 00:01:29", volume = { total = 1.5 } }
  local event = { id = 9, kind = "event", event_type = { id = 1 }, organisation = { id = 7 }, timestamp = "2026-11-20T00:00:00.049+0000" }

  it("sends a batch of CloudEvents 1.0", function()
    local requests = sink("cloudevents.lua", { url = "https://example.com/in" }):requests { usage, event }
    assert.equal(1, #requests)
    assert.equal("application/cloudevents-batch+json; charset=utf-8", requests[1].headers["content-type"])
    local first, second = requests[1].json[1], requests[1].json[2]
    assert.same({ "1.0", "usage-174000000", "/sluice", "iot.sluice.usage", "42", "2026-11-20T00:01:29.000Z" },
      { first.specversion, first.id, first.source, first.type, first.subject, first.time })
    assert.equal(1.5, first.data.volume.total)
    assert.same({ "event-9", nil }, { second.id, second.subject })
  end)

  it("says what settings say", function()
    local request = sink("cloudevents.lua", { url = "https://example.com/in", source = "/fleet", type_prefix = "com.example" })
      :requests({ event })[1]
    assert.same({ "/fleet", "com.example.event" }, { request.json[1].source, request.json[1].type })
  end)
end)
