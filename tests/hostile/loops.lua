-- Code that does not end by itself, in each hook, at load, and where errors, C functions and metamethods hide it.
--- at load: refused
while true do end
return { api = 1 }
--- at load, in a function: refused
local function spin() return spin() end
local M = { api = 1 }
spin()
return M
--- at load, behind pcall: refused
repeat local ok = pcall(function() while true do end end) until ok
return { api = 1 }
--- at load, in a constructor: refused
return { api = 1, map = (function() while true do end end)() }
--- at load, in C: refused
local t = {}
for i = 1, 10000 do t[i] = i end
while true do table.sort(t, function(a, b) return a > b end) end
return { api = 1 }
--- in filter: timeout
local M = { api = 1 }
function M.filter() while true do end end
return M
--- in map: timeout
while true do end
--- in filter and map, each in part: timeout
local M = { api = 1 }
local n = 0
function M.filter() for i = 1, 1e7 do n = n + 1 end return true end
function M.map() while true do end end
return M
--- repeat until false: timeout
repeat until false
--- a for loop of 1e300 steps: timeout
for i = 1, 1e300 do end
--- a for loop without a step: timeout, failed
for i = 1, 2, 0 do end
--- a for loop over NaN: delivered
for i = 1, 0 / 0 do end return { done = true }
--- goto: timeout
::again:: goto again
--- tail calls: timeout
local function f() return f() end f()
--- two that call each other: timeout
local g
local function f() return g() end
g = function() return f() end
f()
--- an iterator without an end: timeout
for _ in function() return 1 end do end
--- pcall around the loop: timeout
while true do pcall(function() while true do end end) end
--- pcall that wants to hold the time-out: timeout
repeat local ok = pcall(function() while true do end end) until ok return { held = "ESCAPED" }
--- pcall that goes on after the time-out: timeout
pcall(function() while true do end end) while true do end
--- pcall of pcall of pcall: timeout
while true do pcall(pcall, pcall, pcall, error) end
--- errors in a row: timeout
while true do pcall(error, {}) end
--- errors with long texts: timeout
local s = ("x"):rep(2 ^ 18) while true do pcall(error, s) end
--- in __index: timeout
return setmetatable({}, { __index = function() while true do end end }).x
--- in __newindex: timeout
setmetatable({}, { __newindex = function() while true do end end }).x = 1
--- in __call: timeout
setmetatable({}, { __call = function() while true do end end })()
--- in __eq: timeout
local m = { __eq = function() while true do end end } return { setmetatable({}, m) == setmetatable({}, m) }
--- in __lt: timeout
local m = { __lt = function() while true do end end } return { setmetatable({}, m) < setmetatable({}, m) }
--- in __le: timeout
local m = { __le = function() while true do end end } return { setmetatable({}, m) <= setmetatable({}, m) }
--- in __concat: timeout
return { setmetatable({}, { __concat = function() while true do end end }) .. "x" }
--- in __unm: timeout
return { -setmetatable({}, { __unm = function() while true do end end }) }
--- in __tostring: timeout
return { tostring(setmetatable({}, { __tostring = function() while true do end end })) }
--- in __tostring under log: timeout
log(setmetatable({}, { __tostring = function() while true do end end })) return { done = true }
--- in __tostring under format: timeout
return { string.format("%s", setmetatable({}, { __tostring = function() while true do end end })) }
--- in __pairs, __ipairs and __len, which Lua 5.1 does not know: delivered, failed
local m = { __pairs = function() while true do end end, __ipairs = function() while true do end end, __len = function() while true do end end }
local t = setmetatable({}, m)
for _ in pairs(t) do end
for _ in ipairs(t) do end
return { #t }
--- in the comparison of a sort: timeout
table.sort({ 3, 2, 1 }, function() while true do end end)
--- in the replacement of gsub: timeout
return { (("x"):gsub("x", function() while true do end end)) }
--- in a gmatch: timeout
for _ in ("x"):gmatch("()") do while true do end end
--- an __index that walks a circle: failed
local a, b = {}, {}
setmetatable(a, { __index = b }) setmetatable(b, { __index = a })
return { a.x }
--- a __newindex that walks a circle: failed
local a, b = {}, {}
setmetatable(a, { __newindex = b }) setmetatable(b, { __newindex = a })
a.x = 1
--- sorting for ever: timeout
local t = {} for i = 1, 10000 do t[i] = i end
while true do table.sort(t) end
--- sorting texts that are alike for ever: timeout, killed
local t, s = {}, ("x"):rep(1000)
for i = 1, 8000 do t[i] = s .. i end
while true do table.sort(t) end
--- inserting in front of a long list: timeout, killed
local t = {} for i = 1, 3e5 do t[i] = i end
while true do table.insert(t, 1, 0) table.remove(t, 1) end
--- upper and lower of a megabyte: timeout
local s = ("x"):rep(2 ^ 20) while true do s:upper() s:lower() s:reverse() end
--- comparing a megabyte: timeout, killed
local a = ("x"):rep(2 ^ 20) local b = a .. "a" local c = a .. "b" while true do local d = b < c end
--- comparing two megabytes: killed
local s = ("x"):rep(2 ^ 20) s = s .. s local a, b = s .. "a", s .. "b" while a < b do end
--- numbers of a megabyte of digits: timeout
local s = ("1"):rep(2 ^ 20) while true do tonumber(s) end
--- numbers in another base: timeout
local s = ("z"):rep(2 ^ 20) while true do tonumber(s, 36) end
--- reading times from long texts: timeout
local s = "2026-01-01T00:00:00." .. ("1"):rep(2 ^ 20) while true do time.parse(s) end
--- writing JSON for ever: timeout
local t = {} for i = 1, 1000 do t[i] = ("x"):rep(200) end
while true do json.encode(t) end
--- logging for ever: timeout, killed
local s = ("x"):rep(2 ^ 20) while true do log(s) end
--- next over an emptied table: timeout, killed
local t = {} for i = 1, 2e5 do t["k" .. i] = 1 end
for i = 1, 2e5 do t["k" .. i] = nil end
while true do next(t) end
--- pairs of the record for ever: timeout
while true do for k in pairs(rec) do end end
--- the record's length for ever: timeout, failed
while true do local n = #rec end
--- get with a long path: timeout, killed, failed
local p = ("a."):rep(2 ^ 18) .. "a" while true do get(rec, p) end
--- unpacking for ever: timeout
local t = {} for i = 1, 7000 do t[i] = i end
while true do select("#", unpack(t)) end
--- joining for ever: timeout, memory
local t = {} for i = 1, 1e5 do t[i] = "xxxxxxxxxx" end
while true do table.concat(t) end
--- byte of many: timeout
local s = ("x"):rep(5000) while true do s:byte(1, 5000) end
--- collecting garbage for ever: timeout, killed, memory
while true do local t = {} for i = 1, 1000 do t = { t } end end
--- from record to record, a little more each: delivered, timeout
local M = { api = 1 }
local n = 0
function M.map() n = n + 2e5 for i = 1, n do end return { n = n } end
return M
