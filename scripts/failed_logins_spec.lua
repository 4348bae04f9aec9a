-- Five in ten minutes, of one user.
describe("failed_logins", function()
  local script
  local function fail(second, user)
    return script:run({
      id = 1, organisation = { id = 1 }, event_type = { id = 6 }, user = { id = user or 84993 },
      timestamp = ("2026-11-20T08:%02d:%02d.000+0000"):format(math.floor(second / 60), second % 60),
    }).alerts
  end

  before_each(function() script = stream("failed_logins.lua") end)

  it("tells of the fifth", function()
    for second = 1, 4 do assert.same({}, fail(second)) end
    local alert = fail(5)[1]
    assert.equal("5 failed logins of user 84993 in 10m", alert.title)
    assert.equal("login:84993", alert.key)
  end)

  it("is silent when they are spread over a longer time", function()
    for minute = 0, 10 do assert.same({}, fail(minute * 180)) end
  end)

  it("keeps users apart", function()
    for second = 1, 4 do fail(second) end
    assert.same({}, fail(5, 7))
  end)

  it("keeps users with long numbers apart", function()
    for second = 1, 4 do fail(second, 123456789012345) end
    assert.same({}, fail(5, 123456789012346))
  end)

  it("tells again only after a while", function()
    for second = 1, 5 do fail(second) end
    assert.equal(0, #fail(6))
  end)

  it("does not look at other events", function()
    assert.equal("match", script:run({ id = 1, organisation = { id = 1 }, event_type = { id = 1 } }).reason)
  end)
end)
