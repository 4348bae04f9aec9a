-- Scripts that are no scripts: the table a chunk returns, and what it says of itself.
--- nothing: refused
local api = 1
--- nil: refused
local api = 1 return nil
--- a number: refused
local api = 1 return 5
--- a text: refused
return "api = 1"
--- a function: refused
return function() return { api = 1 } end
--- the version as a text: refused
return { api = "1" }
--- a version to come: refused
return { api = 2 }
--- the version NaN: refused
return { api = 0 / 0 }
--- the version behind a metatable: refused
return setmetatable({}, { __index = { api = 1 } })
--- a hook behind a metatable: delivered, refused
return setmetatable({ api = 1 }, { __index = { map = function() return { "ESCAPED" } end } })
--- a table that answers everything: refused, delivered
return setmetatable({ api = 1 }, { __index = function() return function() while true do end end end })
--- a table that loops when asked: refused, delivered
return setmetatable({ api = 1 }, { __index = function() while true do end end })
--- map as a text: refused
return { api = 1, map = "x" }
--- map as a table: refused
return { api = 1, map = {} }
--- map as a table that can be called: refused
return { api = 1, map = setmetatable({}, { __call = function() return { 1 } end }) }
--- filter as a boolean: refused
return { api = 1, filter = true }
--- alert as a number: refused
return { api = 1, alert = 5 }
--- a hook that is a built-in function: delivered, failed, timeout
return { api = 1, map = tostring }
--- filter is pcall: delivered, failed, filtered
return { api = 1, filter = pcall }
--- map is error: failed
return { api = 1, map = error }
--- map is setmetatable: failed
return { api = 1, map = setmetatable }
--- map is log: filtered, delivered
return { api = 1, map = log }
--- map is unpack: failed, filtered, delivered
return { api = 1, map = unpack }
--- map is next: failed, delivered
return { api = 1, map = next }
--- map is array: filtered
return { api = 1, map = array }
--- a name that is not known: refused
return { api = 1, fliter = function() end }
--- a name that is a table: refused
return { api = 1, [{}] = 1 }
--- a name that is a number: refused
return { api = 1, 1, 2, 3 }
--- a hundred thousand names: refused
local M = { api = 1 } for i = 1, 1e5 do M["k" .. i] = i end return M
--- match as a text: refused
return { api = 1, match = "event" }
--- match of an unknown kind: refused
return { api = 1, match = { kind = { "evnt" } } }
--- match of a kind that is a number: refused
return { api = 1, match = { kind = { 1 } } }
--- match of no kind: refused
return { api = 1, match = { kind = {} } }
--- match of a kind that is no list: refused
return { api = 1, match = { kind = "event" } }
--- match of an unknown event: refused
return { api = 1, match = { event_type = { "nothing" } } }
--- match of an event beyond: refused
return { api = 1, match = { event_type = { 65536 } } }
--- match of an event of a half: refused
return { api = 1, match = { event_type = { 1.5 } } }
--- match of an event below: refused
return { api = 1, match = { event_type = { -1 } } }
--- match of an event NaN: refused
return { api = 1, match = { event_type = { 0 / 0 } } }
--- match of a hundred events: refused
local t = {} for i = 1, 100 do t[i] = i end return { api = 1, match = { event_type = t } }
--- match of a million events: refused
local t = {} for i = 1, 2e5 do t[i] = 1 end return { api = 1, match = { event_type = t } }
--- match with a hole: refused
return { api = 1, match = { event_type = { 1, nil, 3 } } }
--- match with a metatable: refused, delivered, filtered
return { api = 1, match = setmetatable({}, { __index = { kind = { "event" } } }) }
--- match with a list that lies: refused, delivered, filtered
return { api = 1, match = { kind = setmetatable({ "event" }, { __len = function() return 2 ^ 31 end }) } }
--- match that is in itself: refused
local m = {} m.kind = m return { api = 1, match = m }
--- match with an unknown name: refused
return { api = 1, match = { kinds = { "event" } } }
--- match of events alone: filtered
return { api = 1, match = { kind = { "event" } } }
--- an alert hook, which is not in this version: refused, delivered
return { api = 1, alert = function() while true do end end }
