-- What arrives at a customer's endpoint, request by request, and what its answers mean.
describe("rest", function()
  local url = "https://example.com/in"
  local records = { { id = 1, organisation = { id = 7 }, volume = { total = 1 } },
                    { id = 2, organisation = { id = 7 }, volume = { total = 2 } } }

  it("posts each record alone, as it is", function()
    local requests = sink("rest.lua", { url = url }):requests(records)
    assert.equal(2, #requests)
    assert.equal("POST", requests[1].method)
    assert.equal(url, requests[1].url)
    assert.equal("application/json", requests[1].headers["content-type"])
    assert.same(records[1], requests[1].json)
    assert.same(records[2], requests[2].json)
  end)

  it("takes the method, further headers and a token from the settings", function()
    local request = sink("rest.lua", { url = url, method = "PUT", headers = { ["x-fleet"] = "north" },
                                       auth = "bearer", token = "secret" }):requests(records)[1]
    assert.equal("PUT", request.method)
    assert.equal("north", request.headers["x-fleet"])
    assert.equal("Bearer secret", request.headers["Authorization"])
  end)

  it("wants a URL", function()
    assert.error(function() sink("rest.lua") end)
  end)

  it("leaves the judgement of answers to the engine", function()
    local rest = sink("rest.lua", { url = url })
    rest:requests(records)
    assert.equal("delivered", (rest:verdict { status = 204 }))
    assert.equal("retry", (rest:verdict { status = 503 }))
    assert.equal("retry", (rest:verdict { error = "connection refused" }))
    assert.equal("reject", (rest:verdict { status = 422 }))
    assert.equal("pause", (rest:verdict { status = 401 }))
  end)
end)
