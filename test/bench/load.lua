-- What wrk sends. Arguments after "--": create KEYS TAG BODY | get KEY IDS | replay KEY KEYS BODY |
-- callback FILE | health
--   create    a payment each, with an Idempotency-Key that nobody has used. KEYS: a file of API keys, used
--             in turn. "#####" in BODY becomes five digits.
--   get       the payments of a file of ids, in turn
--   replay    BODY with the Idempotency-Keys of a file, in turn
--   callback  each line of a file once (path, blank, body); ends when there are no more
-- Prints one line of JSON.

local function lines(name)
    local found = {}
    for line in io.lines(name) do found[#found + 1] = line end
    return found
end

local function post(path, key, body)
    return "POST " .. path .. " HTTP/1.1\r\nHost: bench\r\n" ..
        (key and "Authorization: Bearer " .. key .. "\r\n" or "") ..
        "Content-Type: application/json\r\nContent-Length: " .. #body .. "\r\n"
end

local modes = {}

function modes.create(args)
    local heads, tag, body, n = {}, args[3], args[4], 0
    for i, key in ipairs(lines(args[2])) do
        heads[i] = post("/api/v1/payments/initialize", key, body) .. "Idempotency-Key: " .. tag
    end
    local before, after = body:match("^(.-)#####(.*)$")
    local random, format = math.random, string.format
    math.randomseed(os.time())
    return function()
        n = n + 1
        -- random first, as clients' keys are; the counter makes it unique
        local key = format("%06x%06x\r\n\r\n", random(0, 0xffffff), n)
        if before == nil then return heads[n % #heads + 1] .. key .. body end
        return heads[n % #heads + 1] .. key .. before .. format("%05d", n % 100000) .. after
    end
end

local function in_turn(requests)
    local n = 0
    return function()
        n = n + 1
        return requests[n % #requests + 1]
    end
end

function modes.get(args)
    local requests = {}
    for i, id in ipairs(lines(args[3])) do
        requests[i] = "GET /api/v1/payments/" .. id .. " HTTP/1.1\r\nHost: bench\r\n" ..
            "Authorization: Bearer " .. args[2] .. "\r\n\r\n"
    end
    return in_turn(requests)
end

function modes.replay(args)
    local requests = {}
    for i, key in ipairs(lines(args[3])) do
        requests[i] = post("/api/v1/payments/initialize", args[2], args[4]) ..
            "Idempotency-Key: " .. key .. "\r\n\r\n" .. args[4]
    end
    return in_turn(requests)
end

function modes.callback(args)
    local next_line, livez, started = io.lines(args[2]), "GET /livez HTTP/1.1\r\nHost: bench\r\n\r\n", false
    return function()
        if not started then -- wrk looks at one request that it does not send
            started = true
            return livez
        end
        local path, body = (next_line() or ""):match("^(%S+) (.*)$")
        if path ~= nil then return post(path, nil, body) .. "\r\n" .. body end
        next_line = function() end
        wrk.thread:stop()
        return livez
    end
end

function modes.health()
    return in_turn({"GET /health HTTP/1.1\r\nHost: bench\r\n\r\n"})
end

function init(args)
    request = modes[args[1]](args)
end

function done(summary, latency)
    local e = summary.errors
    print(string.format('{"requests": %d, "seconds": %f, "status": %d, "lost": %d, "p50_ms": %f, ' ..
        '"p99_ms": %f}', summary.requests, summary.duration / 1e6, e.status,
        e.connect + e.read + e.write + e.timeout, latency:percentile(50) / 1e3,
        latency:percentile(99) / 1e3))
end
