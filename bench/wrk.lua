-- Arguments: METHOD BODY COUNT PAUSE. At the end, one JSON line with what wrk's own report leaves out.
-- Each connection waits PAUSE milliseconds before its next request.
-- `%7Bnumber%7D` in the address is replaced by each number from 0 to COUNT - 1 in turn, with 16 digits.
local requests, sent = {}, 0

function init(args)
   local count = tonumber(args[3] or 1)
   wrk.method = args[1] or "GET"
   if args[2] and args[2] ~= "" then wrk.body = args[2] end
   local path = wrk.path
   for number = 0, count - 1 do
      wrk.path = path:gsub("%%7Bnumber%%7D", string.format("%016d", number))
      requests[number] = wrk.format()
   end
   local pause = tonumber(args[4] or 0)
   if pause > 0 then
      delay = function() return pause end
   end
   if count == 1 then return end
   request = function()
      sent = (sent + 1) % count
      return requests[sent]
   end
end

function done(summary, latency, _)
   local errors = summary.errors
   io.write(string.format(
      '{"requests": %d, "microseconds": %d, "bytes": %d, "refused": %d, "broken": %d, ',
      summary.requests, summary.duration, summary.bytes, errors.status,
      errors.connect + errors.read + errors.write + errors.timeout))
   io.write(string.format(
      '"latency_microseconds": {"50": %d, "99": %d, "99.9": %d, "100": %d}}\n',
      latency:percentile(50), latency:percentile(99), latency:percentile(99.9), latency.max))
end
