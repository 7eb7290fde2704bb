-- The repair of keys that another program deleted or replaced, and the end of the script.

-- Renames a key that has another type.
local function move_aside(name, expected_type)
    local found = redis.call('TYPE', key(name)).ok
    if found ~= expected_type and found ~= 'none' then redis.call('RENAME', key(name), key('broken:' .. name)) end
end

-- Returns the waiting events of an app by object, each as a table with `id` and `at`, oldest first; and their number.
local function events_by_object(app)
    local start = '{"app": "' .. app .. '"'
    local objects, seen, count, cursor = {}, {}, 0, '0'
    repeat
        local found = redis.call('HSCAN', key('events'), cursor, 'COUNT', 500)
        cursor = found[1]
        for index = 1, #found[2], 2 do
            local id, record = found[2][index], found[2][index + 1]
            if not seen[id] and record:sub(1, #start) == start then
                local readable, event = pcall(cjson.decode, record)
                if readable then
                    seen[id], count = true, count + 1
                    objects[event.object] = objects[event.object] or {}
                    table.insert(objects[event.object], {id = id, at = event.at})
                end
            end
        end
    until cursor == '0'
    for _, events in pairs(objects) do
        table.sort(events, function(one, other) return one.at < other.at end)
    end
    return objects, count
end

-- Restores all keys of an app from its events. Claims of the app end. Returns the number of its events.
function operations.repair(app, object)
    local stream = key('ready:' .. app)
    move_aside('ready:' .. app, 'stream')
    move_aside('accepted:' .. app, 'zset')
    move_aside('dead:' .. app, 'zset')
    if object then
        move_aside('object:' .. object, 'list')
        move_aside('died:' .. object, 'zset')
    end
    redis.call('DEL', stream)
    redis.call('XGROUP', 'CREATE', stream, group, '0', 'MKSTREAM')
    local objects, count = events_by_object(app)
    for name, events in pairs(objects) do
        move_aside('object:' .. name, 'list')
        local listed = {}
        for _, id in ipairs(redis.call('LRANGE', key('object:' .. name), 0, -1)) do listed[id] = true end
        for _, event in ipairs(events) do
            if not listed[event.id] then redis.call('RPUSH', key('object:' .. name), event.id) end
        end
        local id = oldest_event(name)
        if not redis.call('ZSCORE', key('later'), app .. ':' .. id) then make_ready(app, id) end
    end
    redis.call('HDEL', key('counts'), app)
    if count > 0 then redis.call('HSET', key('counts'), app, count) end
    return count
end

local succeeded, result = try(operations[ARGV[1]], unpack(ARGV, 2))
return succeeded and result or 'broken'
