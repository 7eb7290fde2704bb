"""The operations of the queue in Redis: each is one Lua script, so a signer that dies leaves none half done.

All keys have one hash tag, so that a cluster stores them together:

| key            | type   | content                                                                              |
|----------------|--------|--------------------------------------------------------------------------------------|
| events         | hash   | each event by its id; the number of fields is the depth of the queue                 |
| object:OBJECT  | list   | the ids of the events of one object, oldest first                                    |
| ready:APP      | stream | the oldest events of objects, when they are due; the signers are its consumer group  |
| later          | zset   | events that failed, as APP:ID with the time in milliseconds at which they are due    |
| failures       | hash   | the number of failed attempts of each event, by id                                   |
| apps           | set    | the apps whose stream can have entries                                               |

A consumer group gives the entries of a stream to any of its consumers. Events stay in order all the same, because only
the oldest event of an object is ever in a stream. XAUTOCLAIM gives the entries of a dead signer to another one.

See: https://redis.io/docs/latest/develop/data-types/streams/
"""

from __future__ import annotations

_HEAD = """
local prefix = KEYS[1]:sub(1, -7)
local group = 'signers'
local function key(name) return prefix .. name end
local function now()
    local time = redis.call('TIME')
    return time[1] * 1000 + math.floor(time[2] / 1000)
end
local function ready(app, id)
    local stream = key('ready:' .. app)
    if redis.call('EXISTS', stream) == 0 then
        redis.call('XGROUP', 'CREATE', stream, group, '0', 'MKSTREAM')
    end
    redis.call('XADD', stream, '*', 'id', id)
    redis.call('SADD', key('apps'), app)
end
local function drop(stream, entry)
    redis.call('XACK', stream, group, entry)
    redis.call('XDEL', stream, entry)
end
-- Ends the claim in ARGV: consumer, app, entry. Returns false when it has ended before.
local function end_claim()
    local stream = key('ready:' .. ARGV[2])
    if #redis.call('XPENDING', stream, group, ARGV[3], ARGV[3], 1, ARGV[1]) == 0 then return false end
    drop(stream, ARGV[3])
    return true
end
"""
"""KEYS[1] is the hash `events`."""

PUT = (
    _HEAD
    + """
-- ARGV: id, app, object, record, maximum of events
local id, app = ARGV[1], ARGV[2]
if redis.call('HEXISTS', KEYS[1], id) == 1 then return 1 end
if redis.call('HLEN', KEYS[1]) >= tonumber(ARGV[5]) then return 0 end
redis.call('HSET', KEYS[1], id, ARGV[4])
if redis.call('RPUSH', key('object:' .. ARGV[3]), id) == 1 then ready(app, id) end
return 1
"""
)

CLAIM = (
    _HEAD
    + """
-- ARGV: consumer, lease in milliseconds, maximum of events, slots of other apps, then app, slots, app, slots ...
local consumer, lease, max_events, default_slots = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
for _, member in ipairs(redis.call('ZRANGEBYSCORE', key('later'), '-inf', now(), 'LIMIT', 0, 500)) do
    local app, id = member:match('^([^:]+):(.*)$')
    redis.call('ZREM', key('later'), member)
    ready(app, id)
end
local slots = {}
for index = 5, #ARGV, 2 do slots[ARGV[index]] = tonumber(ARGV[index + 1]) end
local claimed = {}
for _, app in ipairs(redis.call('SRANDMEMBER', key('apps'), 100)) do
    local stream = key('ready:' .. app)
    local free = math.min(slots[app] or default_slots, max_events - #claimed)
    local entries, cursor = {}, '0-0'
    while #entries < free do
        local found = redis.call(
            'XAUTOCLAIM', stream, group, consumer, lease, cursor, 'COUNT', free - #entries)
        cursor = found[1]
        for _, entry in ipairs(found[2]) do entries[#entries + 1] = entry end
        if cursor == '0-0' then break end
    end
    if #entries < free then
        local found = redis.call(
            'XREADGROUP', 'GROUP', group, consumer, 'COUNT', free - #entries, 'STREAMS', stream, '>')
        for _, entry in ipairs(found and found[1][2] or {}) do entries[#entries + 1] = entry end
    end
    for _, entry in ipairs(entries) do
        local id = entry[2][2]
        local record = redis.call('HGET', KEYS[1], id)
        if record then
            claimed[#claimed + 1] = {entry[1], id, record, tonumber(redis.call('HGET', key('failures'), id) or 0)}
        else
            drop(stream, entry[1])
        end
    end
    if redis.call('XLEN', stream) == 0 then redis.call('SREM', key('apps'), app) end
end
return {redis.call('HLEN', KEYS[1]), claimed}
"""
)

COMPLETE = (
    _HEAD
    + """
-- ARGV: consumer, app, entry, id, object
if not end_claim() then return 0 end
redis.call('HDEL', KEYS[1], ARGV[4])
redis.call('HDEL', key('failures'), ARGV[4])
local list = key('object:' .. ARGV[5])
redis.call('LREM', list, 1, ARGV[4])
local next_id = redis.call('LINDEX', list, 0)
if next_id then ready(ARGV[2], next_id) end
return redis.call('HLEN', KEYS[1])
"""
)

RETRY_LATER = (
    _HEAD
    + """
-- ARGV: consumer, app, entry, id, milliseconds
if not end_claim() then return 0 end
redis.call('ZADD', key('later'), now() + tonumber(ARGV[5]), ARGV[2] .. ':' .. ARGV[4])
redis.call('HINCRBY', key('failures'), ARGV[4], 1)
return 1
"""
)

RELEASE = (
    _HEAD
    + """
-- ARGV: consumer, app, entry, id
if not end_claim() then return 0 end
ready(ARGV[2], ARGV[4])
return 1
"""
)

REMOVE_IDLE_CONSUMERS = (
    _HEAD
    + """
-- ARGV: milliseconds after which a consumer without claims is removed
for _, app in ipairs(redis.call('SMEMBERS', key('apps'))) do
    local stream = key('ready:' .. app)
    for _, consumer in ipairs(redis.call('XINFO', 'CONSUMERS', stream, group)) do
        local fields = {}
        for index = 1, #consumer, 2 do fields[consumer[index]] = consumer[index + 1] end
        if fields.pending == 0 and fields.idle > tonumber(ARGV[1]) then
            redis.call('XGROUP', 'DELCONSUMER', stream, group, fields.name)
        end
    end
end
return 1
"""
)
