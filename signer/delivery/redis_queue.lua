-- The operations of the queue in Redis. A script runs alone, so a signer that dies leaves no operation half done.
--
-- KEYS[1] is the prefix of all keys. It is a hash tag, so that a cluster stores them together:
--
-- events         hash    each event by its id; the number of fields is the depth of the queue
-- object:OBJECT  list    the ids of the events of one object, oldest first
-- ready:APP      stream  the oldest events of objects, when they are due; the signers are its consumer group
-- later          zset    events that failed, as APP:ID with the time in milliseconds at which they are due
-- failures       hash    the number of failed attempts of each event, by id
-- rejections     hash    those that count against an event, by id, as the signers write them
-- retried        hash    when an event that was a dead letter was retried, by id
-- apps           set     the apps whose stream can have entries
-- counts         hash    the number of events of each app
-- accepted:APP   zset    the ids of events that were added, with the time in milliseconds until which to remember them
--
-- clock          string  the time in milliseconds of a recent operation
-- broken:NAME    any     a key that another program replaced by one of another type
--
-- redis_dead_letters.lua has more. The script consists of this file, that one and redis_repair.lua.
--
-- A consumer group gives the entries of a stream to any of its consumers. Events stay in order all the same, because
-- only the oldest event of an object is ever in a stream. XAUTOCLAIM gives the entries of a dead signer to another one.
-- See: https://redis.io/docs/latest/develop/data-types/streams/
--
-- Another program or an operator can delete or replace keys. What is broken of one app stops only its own operations:
-- they return 'broken', and `repair` restores all keys of an app from `events`.

local group = 'signers'

local function key(name) return KEYS[1] .. name end

local function now()
    local time = redis.call('TIME')
    return time[1] * 1000 + math.floor(time[2] / 1000)
end

local function depth() return redis.call('HLEN', key('events')) end

-- Runs a function like pcall, but only errors of a broken key are returned.
local function try(operation, ...)
    local succeeded, result = pcall(operation, ...)
    local text = type(result) == 'table' and result.err or tostring(result)
    if not succeeded and not text:find('WRONGTYPE') and not text:find('NOGROUP') then error(result) end
    return succeeded, result
end

-- The claims of a stream begin anew, because Redis ignores a claim of the future.
local function renew_claims(stream)
    for _, pending in ipairs(redis.call('XPENDING', stream, group, '-', '+', 10000)) do
        redis.call('XCLAIM', stream, group, pending[2], 0, pending[1], 'IDLE', 0, 'JUSTID')
    end
end

-- When the clock of Redis was set back, the times that were written before are too far ahead. They are moved along.
local function follow_clock()
    local last, time = tonumber(redis.call('GET', key('clock')) or 0), now()
    if math.abs(time - last) < 1000 then return end
    redis.call('SET', key('clock'), time)
    if time > last then return end
    for _, member in ipairs(redis.call('ZRANGE', key('later'), 0, -1)) do
        redis.call('ZINCRBY', key('later'), time - last, member)
    end
    for _, app in ipairs(redis.call('SMEMBERS', key('apps'))) do try(renew_claims, key('ready:' .. app)) end
end

local function make_ready(app, id)
    redis.call('SADD', key('apps'), app)
    local stream = key('ready:' .. app)
    if redis.call('EXISTS', stream) == 0 then
        redis.call('XGROUP', 'CREATE', stream, group, '0', 'MKSTREAM')
    end
    redis.call('XADD', stream, '*', 'id', id)
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

-- Returns the id of the oldest event of an object, and drops ids without an event before it.
local function oldest_event(object)
    local list = key('object:' .. object)
    local id = redis.call('LINDEX', list, 0)
    while id and redis.call('HEXISTS', key('events'), id) == 0 do
        redis.call('LPOP', list)
        id = redis.call('LINDEX', list, 0)
    end
    return id
end

-- Fails if another program replaced a key of an object. Call it before anything is changed.
local function check_keys(object)
    redis.call('LLEN', key('object:' .. object))
    redis.call('ZCARD', key('died:' .. object))
end

-- Deletes an event whose claim has ended, and makes the next one of its object ready.
local function end_event(app, id, object)
    if redis.call('HDEL', key('events'), id) == 1 and redis.call('HINCRBY', key('counts'), app, -1) <= 0 then
        redis.call('HDEL', key('counts'), app)
    end
    for _, name in ipairs({'failures', 'rejections', 'retried'}) do redis.call('HDEL', key(name), id) end
    redis.call('LREM', key('object:' .. object), 1, id)
    local next_id = oldest_event(object)
    if next_id then make_ready(app, next_id) end
end

-- Makes an event whose claim has ended due later, or now an older one of its object that was retried meanwhile.
local function make_due(app, id, object, milliseconds)
    local oldest = oldest_event(object) or id
    if oldest == id and milliseconds > 0 then
        redis.call('ZADD', key('later'), now() + milliseconds, app .. ':' .. id)
    else
        make_ready(app, oldest)
    end
end

-- Returns the event to deliver for an entry: an older one of its object if one was retried meanwhile.
local function event_of_entry(id)
    local record = redis.call('HGET', key('events'), id)
    local readable, event = pcall(cjson.decode, record or '')
    if not readable or type(event) ~= 'table' or type(event.object) ~= 'string' then return id, record end
    local oldest = oldest_event(event.object) or id
    return oldest, redis.call('HGET', key('events'), oldest)
end

local operations = {}

function operations.put(id, app, object, record, remember_until, max_events)
    local accepted = key('accepted:' .. app)
    redis.call('ZREMRANGEBYSCORE', accepted, '-inf', now())
    if redis.call('ZSCORE', accepted, id) or redis.call('HEXISTS', key('events'), id) == 1 then return 'repeated' end
    local own_events = tonumber(redis.call('HGET', key('counts'), app) or 0)
    local free = tonumber(max_events) - depth()
    if free <= 0 or 2 * own_events >= free then return 'full' end
    -- Before the others, because it can fail.
    redis.call('RPUSH', key('object:' .. object), id)
    redis.call('HSET', key('events'), id, record)
    redis.call('HINCRBY', key('counts'), app, 1)
    -- If this fails, the event is stored, and the next claim finds what is broken.
    if oldest_event(object) == id then try(make_ready, app, id) end
    redis.call('ZADD', accepted, remember_until, id)
    if redis.call('ZCARD', accepted) > tonumber(max_events) then redis.call('ZPOPMIN', accepted) end
    redis.call('PEXPIREAT', accepted, redis.call('ZRANGE', accepted, -1, -1, 'WITHSCORES')[2])
    return 'added'
end

local function claim_events_of_app(claimed, app, consumer, lease, count)
    local stream = key('ready:' .. app)
    for _, entry in ipairs(claim_entries(stream, consumer, lease, count)) do
        local id, record = event_of_entry(entry[2][2])
        if record then
            claimed[#claimed + 1] = {
                entry[1], app, id, record, tonumber(redis.call('HGET', key('failures'), id) or 0),
                redis.call('HGET', key('rejections'), id), redis.call('HGET', key('retried'), id),
                redis.call('HEXISTS', key('late'), id)
            }
        else
            drop_entry(stream, entry[1])
        end
    end
    -- A stream that is missing is found when the app has free slots again.
    if redis.call('EXISTS', stream) == 1 and redis.call('XLEN', stream) == 0 then
        redis.call('SREM', key('apps'), app)
    end
end

-- `lease` is in milliseconds; `slots` is a JSON object of slots by app. Returns the numbers of events and of dead
-- letters, the claimed events, and the apps with broken keys.
function operations.claim(consumer, lease, max_events, default_slots, slots)
    follow_clock()
    local broken = {}
    for _, member in ipairs(redis.call('ZRANGEBYSCORE', key('later'), '-inf', now(), 'LIMIT', 0, 500)) do
        redis.call('ZREM', key('later'), member)
        local app, id = member:match('^([^:]+):(.*)$')
        if app and not try(make_ready, app, id) then broken[app] = true end
    end
    slots = cjson.decode(slots)
    local claimed, apps = {}, redis.call('SMEMBERS', key('apps'))
    local first = now()  -- No app is always the first one.
    for index = 1, #apps do
        local app = apps[(first + index) % #apps + 1]
        local free = math.min(slots[app] or tonumber(default_slots), tonumber(max_events) - #claimed)
        if free > 0 and not try(claim_events_of_app, claimed, app, consumer, lease, free) then broken[app] = true end
    end
    local broken_apps = {}
    for app in pairs(broken) do broken_apps[#broken_apps + 1] = app end
    return {depth(), redis.call('ZCARD', key('dead')), claimed, broken_apps}
end

function operations.remove(consumer, app, entry, id, object)
    check_keys(object)
    if not end_claim(consumer, app, entry) then return depth() end
    redis.call('HDEL', key('late'), id)
    local number = redis.call('ZSCORE', key('died:' .. object), id)
    for _, older in ipairs(redis.call('ZRANGEBYSCORE', key('died:' .. object), '-inf', '(' .. (number or 'inf'))) do
        redis.call('HSET', key('late'), older, 1)
    end
    redis.call('ZREM', key('died:' .. object), id)
    end_event(app, id, object)
    return depth()
end

-- `rejections` is empty to keep those of the event.
function operations.retry_later(consumer, app, entry, id, object, milliseconds, rejections)
    check_keys(object)
    if not end_claim(consumer, app, entry) then return 0 end
    redis.call('HINCRBY', key('failures'), id, 1)
    if rejections ~= '' then redis.call('HSET', key('rejections'), id, rejections) end
    make_due(app, id, object, tonumber(milliseconds))
    return 1
end

function operations.release(consumer, app, entry, id, object, milliseconds)
    check_keys(object)
    if not end_claim(consumer, app, entry) then return 0 end
    make_due(app, id, object, tonumber(milliseconds))
    return 1
end

local function remove_idle_consumers_of_app(app, idle_milliseconds)
    local stream = key('ready:' .. app)
    for _, consumer in ipairs(redis.call('XINFO', 'CONSUMERS', stream, group)) do
        local fields = {}
        for index = 1, #consumer, 2 do fields[consumer[index]] = consumer[index + 1] end
        if fields.pending == 0 and fields.idle > tonumber(idle_milliseconds) then
            redis.call('XGROUP', 'DELCONSUMER', stream, group, fields.name)
        end
    end
end

function operations.remove_idle_consumers(idle_milliseconds)
    for _, app in ipairs(redis.call('SMEMBERS', key('apps'))) do
        try(remove_idle_consumers_of_app, app, idle_milliseconds)
    end
    return 1
end

