-- What an endpoint used slides: it counts for the span, then no more.
describe("volume_alert", function()
  local script
  local function used(mb, hour, endpoint)
    return script:run({
      id = 1, organisation = { id = 1 }, endpoint = { id = endpoint or 7 }, volume = { total = mb },
      end_timestamp = ("2026-11-%02d %02d:00:00"):format(20 + math.floor(hour / 24), hour % 24),
    }).alerts
  end

  before_each(function() script = stream("volume_alert.lua", { parameters = { limit_mb = 10 } }) end)

  it("is silent up to the limit", function()
    assert.same({}, used(4, 0))
    assert.same({}, used(6, 1))
  end)

  it("tells what was used when it is passed", function()
    used(4, 0)
    local alert = used(6.5, 1)[1]
    assert.equal("Endpoint 7 used 10.5 MB in 24h, more than 10 MB", alert.title)
    assert.equal("critical", alert.severity)
  end)

  it("tells once a day", function()
    assert.equal(1, #used(11, 0))
    assert.equal(0, #used(1, 23))
    assert.equal(1, #used(11, 24))
  end)

  it("counts 24 hours, whichever day it is", function()
    used(6, 12)
    assert.equal(1, #used(6, 35))
    script = stream("volume_alert.lua", { parameters = { limit_mb = 10 } })
    used(6, 12)
    assert.equal(0, #used(6, 36))
  end)

  it("keeps endpoints apart", function()
    used(6, 0, 7)
    assert.same({}, used(6, 0, 8))
  end)
end)
