-- What Slack is sent, and what its answers mean.
describe("slack", function()
  local slack
  local function alert(more)
    local record = { kind = "alert", title = "5 failed logins", severity = "critical", timestamp = "2026-11-20T10:00:00.000+0000",
                     organisation = { id = 7, name = "A & B" }, endpoint = { id = 42 } }
    for name, value in pairs(more or {}) do record[name] = value end
    return record
  end
  before_each(function() slack = sink("slack.lua", { url = "https://hooks.slack.com/services/T/B/x" }) end)

  it("posts an alert's title and whom it concerns", function()
    local request = slack:requests({ alert() })[1]
    assert.equal("https://hooks.slack.com/services/T/B/x", request.url)
    assert.equal(":rotating_light: *5 failed logins*\norganisation A &amp; B, endpoint 42, at 2026-11-20T10:00:00.000+0000",
      request.json.text)
  end)

  it("takes nothing of a title for markup", function()
    assert.truthy(slack:requests({ alert { title = "<!channel> & all" } })[1].json.text:find("&lt;!channel&gt; &amp; all", 1, true))
  end)

  it("mentions somebody at critical alerts only", function()
    slack = sink("slack.lua", { url = "https://hooks.slack.com/services/T/B/x", mention = "<!here>" })
    assert.truthy(slack:requests({ alert() })[1].json.text:find("^<!here> "))
    assert.equal(nil, slack:requests({ alert { severity = "warn" } })[1].json.text:find("<!here>", 1, true))
  end)

  it("takes alerts only", function()
    assert.equal(0, #slack:requests { { id = 1, kind = "event", event_type = { id = 1 }, organisation = { id = 7 } } })
  end)

  it("stops where the webhook is gone, and waits where Slack asks for it", function()
    slack:requests { alert() }
    local word, why = slack:verdict { status = 404, body = "no_service" }
    assert.same({ "pause", "Slack refuses the webhook: no_service" }, { word, why })
    assert.equal("pause", (slack:verdict { status = 403, body = "invalid_token" }))
    assert.equal("retry", (slack:verdict { status = 429, retry_after = 30 }))
    assert.equal("delivered", (slack:verdict { status = 200, body = "ok" }))
  end)
end)
