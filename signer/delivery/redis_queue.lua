-- The operations of the queue in Redis. A script runs alone, so a signer that dies leaves no operation half done.
--
-- KEYS[1] is the prefix of all keys. It is a hash tag, so that a cluster stores them together:
--
-- events         hash    each event by its id; the number of fields is the depth of the queue
-- object:OBJECT  list    the ids of the events of one object, oldest first
-- ready:APP      stream  the oldest events of objects, when they are due; the signers are its consumer group
-- later          zset    events that failed, as APP:ID with the time in milliseconds at which they are due
-- failures       hash    the number of failed attempts of each event, by id
-- apps           set     the apps whose stream can have entries
-- counts         hash    the number of events of each app
-- accepted:APP   zset    the ids of events that were added, with the time in milliseconds until which to remember them
--
-- A consumer group gives the entries of a stream to any of its consumers. Events stay in order all the same, because
-- only the oldest event of an object is ever in a stream. XAUTOCLAIM gives the entries of a dead signer to another one.
-- See: https://redis.io/docs/latest/develop/data-types/streams/

local group = 'signers'

local function key(name) return KEYS[1] .. name end

local function now()
    local time = redis.call('TIME')
    return time[1] * 1000 + math.floor(time[2] / 1000)
end

local function depth() return redis.call('HLEN', key('events')) end

local function make_ready(app, id)
    local stream = key('ready:' .. app)
    if redis.call('EXISTS', stream) == 0 then
        redis.call('XGROUP', 'CREATE', stream, group, '0', 'MKSTREAM')
    end
    redis.call('XADD', stream, '*', 'id', id)
    redis.call('SADD', key('apps'), app)
end

local function drop_entry(stream, entry)
    redis.call('XACK', stream, group, entry)
    redis.call('XDEL', stream, entry)
end

-- Returns false when the claim has ended before.
local function end_claim(consumer, app, entry)
    local stream = key('ready:' .. app)
    if #redis.call('XPENDING', stream, group, entry, entry, 1, consumer) == 0 then return false end
    drop_entry(stream, entry)
    return true
end

-- Takes over the entries of dead signers first, then new ones.
local function claim_entries(stream, consumer, lease, count)
    local entries, cursor = {}, '0-0'
    repeat
        local found = redis.call('XAUTOCLAIM', stream, group, consumer, lease, cursor, 'COUNT', count - #entries)
        cursor = found[1]
        for _, entry in ipairs(found[2]) do entries[#entries + 1] = entry end
    until cursor == '0-0' or #entries == count
    if #entries < count then
        local found = redis.call(
            'XREADGROUP', 'GROUP', group, consumer, 'COUNT', count - #entries, 'STREAMS', stream, '>')
        for _, entry in ipairs(found and found[1][2] or {}) do entries[#entries + 1] = entry end
    end
    return entries
end

local operations = {}

function operations.put(id, app, object, record, remember_until, max_events)
    local accepted = key('accepted:' .. app)
    redis.call('ZREMRANGEBYSCORE', accepted, '-inf', now())
    if redis.call('ZSCORE', accepted, id) or redis.call('HEXISTS', key('events'), id) == 1 then return 'repeated' end
    local own_events = tonumber(redis.call('HGET', key('counts'), app) or 0)
    local free = tonumber(max_events) - depth()
    if free <= 0 or 2 * own_events >= free then return 'full' end
    redis.call('HSET', key('events'), id, record)
    redis.call('HINCRBY', key('counts'), app, 1)
    if redis.call('RPUSH', key('object:' .. object), id) == 1 then make_ready(app, id) end
    redis.call('ZADD', accepted, remember_until, id)
    if redis.call('ZCARD', accepted) > tonumber(max_events) then redis.call('ZPOPMIN', accepted) end
    redis.call('PEXPIREAT', accepted, redis.call('ZRANGE', accepted, -1, -1, 'WITHSCORES')[2])
    return 'added'
end

-- `lease` is in milliseconds; `slots` is a JSON object of slots by app.
function operations.claim(consumer, lease, max_events, default_slots, slots)
    for _, member in ipairs(redis.call('ZRANGEBYSCORE', key('later'), '-inf', now(), 'LIMIT', 0, 500)) do
        redis.call('ZREM', key('later'), member)
        make_ready(member:match('^([^:]+):(.*)$'))
    end
    slots = cjson.decode(slots)
    local claimed = {}
    for _, app in ipairs(redis.call('SRANDMEMBER', key('apps'), 100)) do
        local stream = key('ready:' .. app)
        local free = math.min(slots[app] or tonumber(default_slots), tonumber(max_events) - #claimed)
        for _, entry in ipairs(free > 0 and claim_entries(stream, consumer, lease, free) or {}) do
            local id = entry[2][2]
            local record = redis.call('HGET', key('events'), id)
            if record then
                claimed[#claimed + 1] = {entry[1], id, record, tonumber(redis.call('HGET', key('failures'), id) or 0)}
            else
                drop_entry(stream, entry[1])
            end
        end
        if redis.call('XLEN', stream) == 0 then redis.call('SREM', key('apps'), app) end
    end
    return {depth(), claimed}
end

function operations.remove(consumer, app, entry, id, object)
    if not end_claim(consumer, app, entry) then return 0 end
    if redis.call('HDEL', key('events'), id) == 1 and redis.call('HINCRBY', key('counts'), app, -1) <= 0 then
        redis.call('HDEL', key('counts'), app)
    end
    redis.call('HDEL', key('failures'), id)
    local list = key('object:' .. object)
    redis.call('LREM', list, 1, id)
    local next_id = redis.call('LINDEX', list, 0)
    if next_id then make_ready(app, next_id) end
    return depth()
end

function operations.retry_later(consumer, app, entry, id, milliseconds)
    if not end_claim(consumer, app, entry) then return 0 end
    redis.call('ZADD', key('later'), now() + tonumber(milliseconds), app .. ':' .. id)
    redis.call('HINCRBY', key('failures'), id, 1)
    return 1
end

function operations.release(consumer, app, entry, id)
    if not end_claim(consumer, app, entry) then return 0 end
    make_ready(app, id)
    return 1
end

function operations.remove_idle_consumers(idle_milliseconds)
    for _, app in ipairs(redis.call('SMEMBERS', key('apps'))) do
        local stream = key('ready:' .. app)
        for _, consumer in ipairs(redis.call('XINFO', 'CONSUMERS', stream, group)) do
            local fields = {}
            for index = 1, #consumer, 2 do fields[consumer[index]] = consumer[index + 1] end
            if fields.pending == 0 and fields.idle > tonumber(idle_milliseconds) then
                redis.call('XGROUP', 'DELCONSUMER', stream, group, fields.name)
            end
        end
    end
    return 1
end

return operations[ARGV[1]](unpack(ARGV, 2))
