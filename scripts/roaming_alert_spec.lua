-- A stream keeps what its script remembers: each case runs several records through one.
describe("roaming_alert", function()
  local script
  local function seen(country, minute, sim)
    return script:run({
      id = 1, organisation = { id = 1 }, timestamp = ("2026-11-20T08:%02d:00.000+0000"):format(minute),
      event_type = { id = 1 }, sim = { id = sim or 7, iccid = "8988" }, detail = { country = { name = country } },
    }).alerts
  end

  before_each(function() script = stream("roaming_alert.lua") end)

  it("is silent for a SIM's first country, and while it stays there", function()
    assert.same({}, seen("Germany", 0))
    assert.same({}, seen("Germany", 1))
  end)

  it("tells where a SIM went", function()
    seen("Germany", 0)
    local alert = seen("France", 1)[1]
    assert.equal("SIM 8988 moved from Germany to France", alert.title)
    assert.equal("roaming:7:France", alert.key)
    assert.equal("warn", alert.severity)
  end)

  it("tells of a border once an hour, and of a third country at once", function()
    seen("Germany", 0)
    assert.equal(1, #seen("France", 1))
    assert.equal(1, #seen("Germany", 2))
    assert.equal(0, #seen("France", 3))
    assert.equal(1, #seen("Spain", 4))
  end)

  it("keeps SIMs apart", function()
    seen("Germany", 0, 7)
    assert.same({}, seen("France", 1, 8))
  end)

  it("forgets a country that was long ago", function()
    script = stream("roaming_alert.lua", { parameters = { remember = "10m" } })
    seen("Germany", 0)
    assert.same({}, seen("France", 10))
  end)
end)
