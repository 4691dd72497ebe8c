-- Signed GitHub pushes over connections that stay open, each with a delivery id of its own. BENCH_PATHS: where to, in turn.
local n, before, after, paths = 0, nil, nil, {}

function init()
	local file = assert(io.open(os.getenv("BENCH_BODY"), "rb"))
	local body = file:read("*a")
	file:close()
	for path in os.getenv("BENCH_PATHS"):gmatch("%S+") do
		paths[#paths + 1] = "POST " .. path
	end
	before = " HTTP/1.1\r\nHost: " .. wrk.headers["Host"] .. "\r\nUser-Agent: GitHub-Hookshot/044aadd\r\nAccept: */*" ..
		"\r\nContent-Type: application/json\r\nX-GitHub-Event: push\r\nX-GitHub-Hook-ID: 292430182" ..
		"\r\nX-GitHub-Hook-Installation-Target-ID: 79929171\r\nX-GitHub-Hook-Installation-Target-Type: repository" ..
		"\r\nX-Hub-Signature-256: sha256=" .. os.getenv("BENCH_SIGNATURE") .. "\r\nX-GitHub-Delivery: " .. os.getenv("BENCH_ID")
	after = "\r\nContent-Length: " .. #body .. "\r\n\r\n" .. body
end

function request()
	n = n + 1
	return paths[n % #paths + 1] .. before .. string.format("%012x", n) .. after
end

function done(summary, latency)
	local errors = summary.errors
	io.write(string.format("\nBENCH %d %d %d %d %d\n", summary.requests, summary.duration, errors.status,
		errors.connect + errors.read + errors.write + errors.timeout, latency:percentile(99)))
end
