-- Nothing personal comes through, with a key or without, in both kinds of record.
describe("redact", function()
  local event, usage, login

  before_each(function()
    event = { id = 1, organisation = { id = 1, name = "Fleet" }, event_type = { id = 5 }, description = "IMSI='9014'",
              endpoint = { id = 7, name = "Anna's car", ip_address = "100.1.2.3", imei = "8627", tags = "anna" },
              imsi = { id = 3, imsi = "9014" }, sim = { id = 4, iccid = "8988", msisdn = "4917" },
              detail = { name = "Telekom", pdp_context = { imsi = "9014", imeisv = "8627", ue_ip_address = "100.1.2.3", lac = 5 } } }
    usage = { id = 2, organisation = { id = 1 }, imsi = "9014", sim = { id = 4, iccid = "8988" }, volume = { total = 1 } }
    login = { id = 3, organisation = { id = 1 }, event_type = { id = 6 }, description = "'anna@example.com' failed",
              user = { id = 8, username = "anna@example.com", name = "Anna" } }
  end)

  it("leaves out what is personal, and nothing else", function()
    local script = stream("redact.lua")
    assert.same({ { id = 1, organisation = { id = 1, name = "Fleet" }, event_type = { id = 5 }, endpoint = { id = 7 },
                    imsi = { id = 3 }, sim = { id = 4 }, detail = { name = "Telekom", pdp_context = { lac = 5 } } } },
      script:run(event).records)
    assert.same({ { id = 2, organisation = { id = 1 }, sim = { id = 4 }, volume = { total = 1 } } }, script:run(usage).records)
    assert.same({ { id = 3, organisation = { id = 1 }, event_type = { id = 6 }, user = { id = 8 } } }, script:run(login).records)
  end)

  it("makes pseudonyms with a key, the same ones for both kinds", function()
    local script = stream("redact.lua", { parameters = { key = "a long secret" } })
    local one, two = script:run(event).records[1], script:run(usage).records[1]
    assert.equal(hash("9014", "a long secret"), one.imsi.imsi)
    assert.equal(one.imsi.imsi, two.imsi)
    assert.equal(one.imsi.imsi, one.detail.pdp_context.imsi)
    assert.equal(one.sim.iccid, two.sim.iccid)
    assert.is_nil(one.description)
    assert.equal("Fleet", one.organisation.name)
  end)

  it("makes others with another key", function()
    local a = stream("redact.lua", { parameters = { key = "a" } }):run(usage).records[1]
    local b = stream("redact.lua", { parameters = { key = "b" } }):run(usage).records[1]
    assert.truthy(a.imsi ~= b.imsi)
  end)

  it("never lets through what it does not understand", function()
    event.endpoint.imei = { number = "8627" }
    assert.truthy(stream("redact.lua"):run(event).error)
    assert.equal("match", stream("redact.lua"):run({ kind = "alert", title = "Anna" }).reason)
  end)
end)
