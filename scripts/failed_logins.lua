-- Alerts when the logins of one user or application fail again and again.
--
-- parameters: failures  how many are too many          5
--             span      in how long                    "10m"
--             silent_s  seconds until the same user is told of again   600
--
-- ctx.count(key, span) counts this record and gives how many there were in the span that ends with it. The title
-- names the user by number, for titles go to chats and tickets; get(rec, "user.username") is the name.
local M = { api = 1 }

M.match = { kind = { "event" }, event_type = { 6, 7 } } -- a user's, an application's authentication failed

function M.alert(rec, ctx)
  local user, span = get(rec, "user.id"), ctx.parameters.span or "10m"
  if not user then return nil end
  local failures = ctx.count("login:" .. tostring(user), span)
  if failures < (ctx.parameters.failures or 5) then return nil end
  return {
    key = "login:" .. tostring(user),
    title = ("%d failed logins of user %s in %s"):format(failures, user, span),
    severity = "critical",
    for_s = ctx.parameters.silent_s or 600,
  }
end

return M
