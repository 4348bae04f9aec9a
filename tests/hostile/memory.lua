-- Memory without end, and texts that grow faster than a clock can look.
--- a list: memory, timeout
local t = {} for i = 1, 1e9 do t[i] = i end
--- a list of lists: memory, timeout
local t = {} for i = 1, 1e9 do t[i] = { i } end
--- closures: memory, timeout
local t = {} for i = 1, 1e9 do t[i] = function() return t, i end end
--- keys: memory, timeout
local t = {} for i = 1, 1e9 do t["k" .. i] = i end
--- a text doubled: memory, timeout
local s = "x" while true do s = s .. s end
--- texts held behind pcall: memory, timeout
local t = {} while true do pcall(function() t[#t + 1] = ("x"):rep(2 ^ 16) .. #t end) end
--- pcall that wants to hold the error: memory, timeout
local t = {}
repeat local ok = pcall(function() while true do t[#t + 1] = ("x"):rep(2 ^ 16) .. #t end end) until ok
return { held = "ESCAPED" }
--- rep of a gigabyte: failed
return { ("x"):rep(2 ^ 30) }
--- rep of 1e300: failed
return { ("x"):rep(1e300) }
--- rep with a long separator: failed
return { ("x"):rep(10, ("y"):rep(2 ^ 20)) }
--- rep of NaN and of infinity: failed, delivered
return { ("x"):rep(0 / 0), (""):rep(1 / 0) }
--- rep of rep of rep: failed, memory
return { ("x"):rep(2 ^ 20):rep(2 ^ 20):rep(2 ^ 20) }
--- format with a wide field: failed
return { string.format("%1000000d", 1) }
--- format with a long precision: failed
return { string.format("%.1000000f", 1) }
--- format that holds many long texts: memory, failed, delivered
local s = ("x"):rep(2 ^ 20) return { #string.format(("%s"):rep(400), unpack({ s, s, s, s, s, s, s, s, s, s })) }
--- format of four hundred long texts: memory, timeout
local s, t = ("x"):rep(2 ^ 20), {} for i = 1, 400 do t[i] = s end return { #string.format(("%s"):rep(400), unpack(t)) }
--- format with a format of a megabyte: failed
return { string.format(("%d"):rep(2 ^ 19), 1) }
--- format quoted: memory, timeout, killed, delivered
local s = ("\0"):rep(2 ^ 20) return { #string.format("%q", s) }
--- concat of long texts: memory, timeout
local t = {} for i = 1, 20 do t[i] = ("x"):rep(2 ^ 20) end return { #table.concat(t) }
--- concat with a long separator: memory, timeout
local t = {} for i = 1, 1000 do t[i] = "" end return { #table.concat(t, ("x"):rep(2 ^ 20)) }
--- gsub that makes each letter a megabyte: memory, timeout, failed, killed
local s = ("x"):rep(2 ^ 20) return { #(("x"):rep(1000):gsub("x", s)) }
--- gsub again and again: memory, timeout, killed, failed
local s = "x" for i = 1, 100 do s = s:gsub("x", "xxxxxxxxxx") end return { #s }
--- gsub with every capture: memory, timeout, failed, killed
local s = ("x"):rep(2 ^ 18) return { #(s:gsub("(.)", "%1%1%1%1%1%1%1%1%1%1%1%1%1%1%1%1%1%1%1%1%1%1%1%1%1%1%1%1%1%1%1%1%1%1%1%1%1%1%1%1%1%1%1%1%1%1%1%1%1%1%1%1%1%1%1%1%1%1%1%1%1%1%1%1%1%1%1%1")) }
--- insert far below: memory, timeout, killed, failed
local t = { 1 } table.insert(t, -2 ^ 31, 1) return { #t }
--- insert a little below: memory, timeout, killed, failed, delivered
local t = { 1 } table.insert(t, -2 ^ 20, 1) return { #t }
--- insert far above: delivered, failed, memory
local t = {} table.insert(t, 2 ^ 31 - 1, 1) return { done = true }
--- an element far above: failed, delivered
local t = {} t[2 ^ 53] = 1 t[2 ^ 31] = 1 t[-2 ^ 31] = 1 return { done = true }
--- a list with a hole as wide as the world: failed
local t = { 1 } t[2 ^ 26] = 1 return t
--- remove far above: delivered, failed
local t = { 1, 2, 3 } table.remove(t, 2 ^ 31 - 1) return { #t }
--- unpack of a wide range: failed
return { unpack({}, -2 ^ 31, 2 ^ 31 - 1) }
--- unpack of ten million: failed
return { unpack({}, 1, 1e7) }
--- byte of a megabyte: failed, memory
return { ("x"):rep(2 ^ 20):byte(1, -1) }
--- char of many: failed, delivered
local t = {} for i = 1, 7000 do t[i] = 65 end return { #string.char(unpack(t)) }
--- select of many: failed, delivered, memory
local t = {} for i = 1, 7000 do t[i] = i end return { select(-7000, unpack(t)) }
--- arguments without end: failed, memory, timeout
local function f(...) return f(1, ...) end f()
--- arguments doubled: failed, memory, timeout
local function f(...) return f(..., ...) end
local function g(...) return g(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, ...) end g()
--- kept from record to record: memory, delivered, timeout
local M = { api = 1 }
local kept = {}
function M.map(rec) for i = 1, 2e5 do kept[#kept + 1] = i end return { n = #kept } end
return M
--- at load: refused
local t = {} for i = 1, 1e9 do t[i] = i end
return { api = 1 }
--- at load, in texts: refused
local s = "x" while true do s = s .. s end
return { api = 1 }
--- a table that says it is longer: delivered, failed
return setmetatable({}, { __len = function() return 2 ^ 40 end })
--- weak tables: memory, timeout, delivered
local t = setmetatable({}, { __mode = "kv" }) for i = 1, 1e5 do t[i] = {} end return { done = true }
--- many metatables: memory, timeout
local t = {} for i = 1, 1e9 do t = setmetatable({}, { __index = t }) end
--- a filter's reason of a megabyte: filtered
local M = { api = 1 }
function M.filter() return false, ("x"):rep(2 ^ 20) end
return M
--- an error of a megabyte: failed
error(("x"):rep(2 ^ 20))
