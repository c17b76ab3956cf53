-- What visitors of a shop do to their sessions, for wrk. Each thread remembers the sessions that it
-- was told of and holds every answer against them: a session must never show another visitor's text.
--
-- An update or delete may be overtaken by a delete on another connection, so 404 is counted, not
-- blamed. Set SLABD_DEMO_REPORT to a file's name to get the counts as "name value" lines.

local CREATE, READ, UPDATE = 25, 45, 20 -- percent; the rest deletes
local threads = {}

function setup(thread)
	thread:set("number", #threads)
	table.insert(threads, thread)
end

function init()
	math.randomseed(os.time() * 64 + number)
	ids, visitor_of, visitors = {}, {}, 0
	created, answered, late, full, wrong = 0, 0, 0, 0, 0
end

local function text_of(visitor)
	return string.format("visitor=%s cart=%s", visitor, string.rep("apple ", math.random(0, 30)))
end

local function create()
	visitors = visitors + 1
	return wrk.format("POST", "/session", nil, text_of(number .. "." .. visitors))
end

function request()
	local dice = math.random(100)
	if #ids < 100 or dice <= CREATE then
		return create()
	end
	local place = math.random(#ids)
	local id = ids[place]
	local path = "/session/" .. id
	if dice <= CREATE + READ then
		return wrk.format("GET", path)
	elseif dice <= CREATE + READ + UPDATE then
		return wrk.format("PUT", path, nil, text_of(visitor_of[id]))
	end
	ids[place] = ids[#ids]
	table.remove(ids)
	return wrk.format("DELETE", path)
end

-- wrk does not say which request this answers; the session's own id does.
function response(status, headers, body)
	if status == 404 then
		late = late + 1
		return
	elseif status == 503 then
		full = full + 1
		return
	end
	local id, visitor = body:match('^{"id":"(%x+)","text":"visitor=([%d.]+) cart=[aple ]*",')
	if not id then
		wrong = wrong + 1
	elseif status == 201 then
		created = created + 1
		visitor_of[id] = visitor
		table.insert(ids, id)
	elseif status == 200 and visitor_of[id] == visitor then
		answered = answered + 1
	else
		wrong = wrong + 1
	end
end

function done(summary, latency)
	local sum = { created = 0, answered = 0, late = 0, full = 0, wrong = 0 }
	for _, thread in ipairs(threads) do
		for name, value in pairs(sum) do
			sum[name] = value + thread:get(name)
		end
	end
	sum.requests = summary.requests
	sum.per_second = math.floor(summary.requests / summary.duration * 1e6)
	sum.p50_us = latency:percentile(50)
	sum.p99_us = latency:percentile(99)
	sum.socket_errors = summary.errors.connect + summary.errors.read + summary.errors.write
		+ summary.errors.timeout
	local file = assert(io.open(os.getenv("SLABD_DEMO_REPORT") or "/dev/stdout", "w"))
	for name, value in pairs(sum) do
		file:write(name, " ", value, "\n")
	end
	file:close()
end
