-- The operations on dead letters. More keys:
--
-- dead           zset    the ids of all dead letters, with a number for each
-- dead:APP       zset    the same of one app
-- dead_events    hash    each dead letter by its id, like `events`
-- deaths         hash    when and why it became one, by id, as the signers write it
-- died:OBJECT    zset    the numbers of the dead letters of one object, and of its retried ones
-- last_number    string  the last of these numbers
-- late           hash    the events and dead letters that are older than a delivered event of their object, by id
--
-- The number of a dead letter shows its place among the events of its object: the oldest event of an object ends first,
-- so a lower number is an older event, and an event without a number is newer than all with one.

local function dead_count() return redis.call('ZCARD', key('dead')) end

local function has_room_for_dead(app, max_count)
    local free = max_count - dead_count()
    return 2 * redis.call('ZCARD', key('dead:' .. app)) < free
end

local function read_dead(id, number)
    local late = redis.call('HEXISTS', key('late'), id)
    return {id, number, redis.call('HGET', key('dead_events'), id), redis.call('HGET', key('deaths'), id), late}
end

local function remove_dead(app, id)
    redis.call('ZREM', key('dead'), id)
    redis.call('ZREM', key('dead:' .. app), id)
    redis.call('HDEL', key('dead_events'), id)
    redis.call('HDEL', key('deaths'), id)
end

local function forget_place(object, id)
    redis.call('ZREM', key('died:' .. object), id)
    redis.call('HDEL', key('late'), id)
end

-- Returns the numbers of events and of dead letters, and the dead letters that were dropped.
function operations.add_dead_letter(consumer, app, entry, id, object, max_count, death)
    check_keys(object)
    redis.call('ZCARD', key('dead:' .. app))
    if not end_claim(consumer, app, entry) then return {depth(), dead_count(), {}} end
    local dropped, record = {}, redis.call('HGET', key('events'), id)
    while not has_room_for_dead(app, tonumber(max_count)) do
        local oldest = redis.call('ZRANGE', key('dead:' .. app), 0, 0, 'WITHSCORES')
        if not oldest[1] then
            local itself = {id, '0', record, death, redis.call('HEXISTS', key('late'), id)}
            forget_place(object, id)
            end_event(app, id, object)
            return {depth(), dead_count(), {itself}}
        end
        dropped[#dropped + 1] = read_dead(oldest[1], oldest[2])
        operations.drop_dead_letter(oldest[1])
    end
    local number = redis.call('ZSCORE', key('died:' .. object), id) or redis.call('INCR', key('last_number'))
    for _, name in ipairs({'dead', 'dead:' .. app, 'died:' .. object}) do redis.call('ZADD', key(name), number, id) end
    redis.call('HSET', key('dead_events'), id, record)
    redis.call('HSET', key('deaths'), id, death)
    end_event(app, id, object)
    return {depth(), dead_count(), dropped}
end

-- `app` is empty for all apps.
function operations.dead_letters(app, after, limit)
    local numbers = key(app == '' and 'dead' or 'dead:' .. app)
    local found = redis.call('ZRANGEBYSCORE', numbers, '(' .. after, 'inf', 'WITHSCORES', 'LIMIT', 0, limit)
    local letters = {}
    for index = 1, #found, 2 do letters[#letters + 1] = read_dead(found[index], found[index + 1]) end
    return letters
end

-- Inserts a retried event before the newer ones of its object, and returns the id of the next one.
local function insert_in_place(object, id)
    local list, died = key('object:' .. object), key('died:' .. object)
    local number, index, newer = tonumber(redis.call('ZSCORE', died, id)), 0, nil
    repeat
        newer = redis.call('LINDEX', list, index)
        local its_number = newer and redis.call('ZSCORE', died, newer)
        index = index + 1
    until not its_number or tonumber(its_number) > number
    if newer then redis.call('LINSERT', list, 'BEFORE', newer, id) else redis.call('RPUSH', list, id) end
    return newer
end

-- Returns the numbers of events and of dead letters, and whether there was such a dead letter.
function operations.retry_dead_letter(id, retried_at)
    local record = redis.call('HGET', key('dead_events'), id)
    if not record then return {depth(), dead_count(), 0} end
    local event = cjson.decode(record)
    check_keys(event.object)
    local newer = insert_in_place(event.object, id)
    redis.call('HSET', key('events'), id, record)
    remove_dead(event.app, id)
    redis.call('HINCRBY', key('counts'), event.app, 1)
    redis.call('HSET', key('retried'), id, retried_at)
    -- An entry of a newer event is enough, unless that one waits for its next attempt.
    local is_first = oldest_event(event.object) == id
    if is_first and (not newer or redis.call('ZREM', key('later'), event.app .. ':' .. newer) == 1) then
        try(make_ready, event.app, id)
    end
    return {depth(), dead_count(), 1}
end

function operations.drop_dead_letter(id)
    local record = redis.call('HGET', key('dead_events'), id)
    if not record then return {depth(), dead_count(), 0} end
    local event = cjson.decode(record)
    remove_dead(event.app, id)
    forget_place(event.object, id)
    return {depth(), dead_count(), 1}
end

