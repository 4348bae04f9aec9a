-- Makes of an alert the message that chats take: { "text": "..." }, as Slack's and Mattermost's webhooks want it.
--
-- parameters: prefix  what each message begins with   none
--
-- For a stream of type `alerts`, to the sink `rest` with the webhook's address as its url. Another script raises the
-- alerts; this one sees them as records of their own: key, title, severity, organisation, timestamp.
local M = { api = 1 }

M.match = { kind = { "alert" } }

local SIGNS = { info = ":information_source:", warn = ":warning:", critical = ":rotating_light:" }

-- These three mean something to Slack.
local function escape(text)
  return (text:gsub("[&<>]", { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;" }))
end

function M.map(rec, ctx)
  local words = { SIGNS[rec.severity] or "", escape(rec.title), "(" .. time.iso(rec.timestamp) .. ")" }
  if ctx.parameters.prefix then table.insert(words, 1, ctx.parameters.prefix) end
  return { text = table.concat(words, " ") }
end

return M
