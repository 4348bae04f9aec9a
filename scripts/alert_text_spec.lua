-- An alert as a chat shows it.
describe("alert_text", function()
  local alert

  before_each(function()
    alert = { id = 1, kind = "alert", alert = true, timestamp = "2026-11-20T08:00:00.000Z", key = "k", severity = "critical",
              title = "5 failed logins", organisation = { id = 1, name = "Fleet" } }
  end)

  it("says what, how bad and when", function()
    assert.same({ { text = ":rotating_light: 5 failed logins (2026-11-20T08:00:00.000Z)" } }, stream("alert_text.lua"):run(alert).records)
  end)

  it("begins as it is told", function()
    local script = stream("alert_text.lua", { parameters = { prefix = "[fleet]" } })
    assert.equal("[fleet] :rotating_light: 5 failed logins (2026-11-20T08:00:00.000Z)", script:run(alert).records[1].text)
  end)

  it("hides from Slack what it would take for its own", function()
    alert.title = "<!channel> & co"
    assert.truthy(stream("alert_text.lua"):run(alert).records[1].text:find("&lt;!channel&gt; &amp; co", 1, true))
  end)

  it("is for alerts alone", function()
    assert.equal("match", stream("alert_text.lua"):run({ id = 1, organisation = { id = 1 }, event_type = { id = 1 } }).reason)
  end)
end)
