-- Patterns that go back for ever, and patterns that are none.
--- nested choices: failed, timeout
return { ("a"):rep(40):find(("a*"):rep(30) .. "b") }
--- nested lazy choices: failed, timeout
return { ("a"):rep(4000):find(("a-"):rep(20) .. "b") }
--- a greedy dot, many times: failed, timeout
return { ("a"):rep(20000):find((".*"):rep(10) .. "b") }
--- a lazy dot over a megabyte: failed, timeout, delivered
return { ("a"):rep(2 ^ 20):find(".-b") == nil }
--- quadratic over a megabyte: failed, timeout
return { ("a"):rep(2 ^ 20):find("a.-b.-c") == nil }
--- plain, nearly everywhere: failed, timeout, delivered, killed
return { ("a"):rep(2 ^ 20):find(("a"):rep(2 ^ 19) .. "b", 1, true) == nil }
--- plain, nearly everywhere, again and again: failed, timeout, killed
local s, p = ("a"):rep(2 ^ 20), ("a"):rep(2 ^ 19) .. "b"
while true do s:find(p, 1, true) end
--- balanced, open for ever: failed, timeout, delivered, killed
return { ("("):rep(2 ^ 20):find("%b()") == nil }
--- balanced, many starts: failed, timeout
local s = ("("):rep(1e5) local n = 0 for _ in s:gmatch("%b()") do n = n + 1 end return { n }
--- frontiers: failed, timeout, delivered
return { ("ab"):rep(2 ^ 18):find("%f[c]%f[d]") == nil }
--- back references: failed, timeout
return { ("a"):rep(3000):find("(a*)%1(a*)%2b") == nil }
--- captures, too many: failed
return { ("a"):rep(40):find(("(a)"):rep(33)) }
--- captures of places, too many: failed
return { ("a"):rep(40):find(("()"):rep(33)) }
--- a set of a megabyte: failed, timeout, delivered
return { ("a"):rep(1000):find("[" .. ("b-c"):rep(2 ^ 18) .. "]") == nil }
--- a pattern of a megabyte: failed, timeout, delivered
return { ("a"):rep(1000):find(("a"):rep(2 ^ 20)) == nil }
--- a set that does not end: failed
return { ("a"):find("[a") }
--- an escape that does not end: failed
return { ("a"):find("a%") }
--- a bracket that does not end: failed
return { ("a"):find("(a") }
--- a bracket that did not begin: failed
return { ("a"):match("a)") }
--- a balance without its ends: failed
return { ("a"):find("%b") }
--- a frontier without its set: failed
return { ("a"):find("%f") }
--- a capture that is not there: failed
return { (("a"):gsub("a", "%9")) }
--- a capture of itself: failed
return { ("a"):find("(%1)") }
--- a replacement that is no escape: failed, delivered
return { (("a"):gsub("a", "%z")) }
--- a replacement that gives a table: failed
return { (("a"):gsub("a", function() return {} end)) }
--- a replacement that is the record: failed, delivered
return { (("id"):gsub("%w+", rec)) }
--- a replacement with a metatable: delivered, failed
return { (("id"):gsub("%w+", setmetatable({}, { __index = function(_, k) return k .. k end }))) }
--- gsub inside gsub inside gsub: failed
local function f() return (("x"):gsub("x", f)) end return { f() }
--- gmatch kept past its call: delivered, failed
local M = { api = 1 }
local step
function M.map(rec) step = step or ("a b c d"):gmatch("%a") return { step() } end
return M
--- positions out of range: delivered, failed
return { ("abc"):find("b", -2 ^ 31), ("abc"):find("b", 2 ^ 31) == nil, ("abc"):find("b", 2 ^ 53) == nil, ("abc"):find("b", -2 ^ 60) }
--- NaN as a position: delivered, failed
return { ("abc"):find("b", 0 / 0) == nil, ("abc"):sub(0 / 0) }
--- zeros in pattern and text: delivered, failed
return { ("a\0b"):find("\0"), ("a\0b"):find("[\0]"), ("a\0b"):match("%z"), ("a\0b"):gsub("\0", "\0\0") }
--- empty matches: delivered, failed, timeout
return { #(("x"):rep(1e5):gsub("", "-")) }
--- many anchored tries: delivered, failed, timeout, killed
local s = ("a"):rep(1e5) for i = 1, 1e5 do s:find("^b", i) end return { done = true }
--- a budget used up again and again: timeout, failed
while true do pcall(string.find, ("a"):rep(40), ("a*"):rep(30) .. "b") end
