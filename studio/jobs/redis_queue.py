"""The queue of several machines: a Redis server, and a folder for --data that all machines share.

Every change is one Lua script, which Redis carries out whole and alone, so two workers never claim one job. Leases are
counted by the clock of the Redis server. Turn on its append-only file (appendonly yes), or a crash of that server
forgets the jobs since its last snapshot; takes that are whole lie in the folder and are not lost.

    studio:job:ID         hash: the fields of a StudioJob
    studio:wait:LANE      sorted set of waiting jobs, by turn and time
    studio:run            sorted set of running jobs, by the end of their lease
    studio:open:LANE      hash: how many jobs that are not ended each client has
    studio:events:ID      list of events
    studio:seconds:VERB   list of the seconds of the last 20 jobs that were done
    studio:key:CLIENT:KEY hash: digest and job of an idempotency key
    studio:take:ID        set of the jobs of a take
"""

import json
from dataclasses import fields, replace
from typing import Any

from studio.jobs.job_queue import LEASE_SECONDS, MAX_TRIES, KeyReused, StudioJob, full, stale_leases
from symbolic.errors import UserError

N_SECONDS = 20  # jobs that the mean of a verb's seconds is taken over
KEY_SECONDS = 7 * 86_400  # that an idempotency key is remembered
_TURN = 1e10  # more than any time in seconds: turns decide first
_LOST = "the worker died {tries} times on it."

_HELPERS = """
local p = 'studio:'
local function field(id, name) return redis.call('HGET', p..'job:'..id, name) end
local function finish(id, state, error, result, now)
  local job = redis.call('HMGET', p..'job:'..id, 'lane', 'client', 'verb', 'started')
  redis.call('HSET', p..'job:'..id, 'state', state, 'ended', now, 'error', error, 'result', result)
  redis.call('ZREM', p..'run', id)
  redis.call('ZREM', p..'wait:'..job[1], id)
  if redis.call('HINCRBY', p..'open:'..job[1], job[2], -1) <= 0 then redis.call('HDEL', p..'open:'..job[1], job[2]) end
  redis.call('RPUSH', p..'events:'..id, cjson.encode({kind='end', state=state, error=error}))
  if state == 'done' then
    redis.call('LPUSH', p..'seconds:'..job[3], tonumber(now) - tonumber(job[4]))
    redis.call('LTRIM', p..'seconds:'..job[3], 0, 19)
  end
end
local function wait(id)
  local job = redis.call('HMGET', p..'job:'..id, 'lane', 'turn', 'created')
  redis.call('HSET', p..'job:'..id, 'state', 'queued', 'worker', '')
  redis.call('ZREM', p..'run', id)
  redis.call('ZADD', p..'wait:'..job[1], tonumber(job[2]) * 1e10 + tonumber(job[3]), id)
end
local function held(id, worker)
  local job = redis.call('HMGET', p..'job:'..id, 'state', 'worker')
  return job[1] == 'running' and job[2] == worker
end
"""
# id, lane, client, key, digest, most waiting, most of a client, seconds of a key, created, field, value, ...
_SUBMIT = """
local id, lane, client, key, digest = ARGV[1], ARGV[2], ARGV[3], p..'key:'..ARGV[3]..':'..ARGV[4], ARGV[5]
if ARGV[4] ~= '' then
  local known = redis.call('HMGET', key, 'digest', 'job')
  if known[1] and redis.call('EXISTS', p..'job:'..known[2]) == 1 then
    return known[1] == digest and {'known', known[2]} or {'reused', ''}
  end
end
local own = tonumber(redis.call('HGET', p..'open:'..lane, client) or '0')
local waiting = redis.call('ZCARD', p..'wait:'..lane)
if own >= tonumber(ARGV[7]) then return {'client', own} end
if waiting >= tonumber(ARGV[6]) then return {'full', waiting} end
for i = 10, #ARGV, 2 do redis.call('HSET', p..'job:'..id, ARGV[i], ARGV[i + 1]) end
redis.call('HSET', p..'job:'..id, 'turn', own, 'created', ARGV[9])
redis.call('HINCRBY', p..'open:'..lane, client, 1)
redis.call('SADD', p..'take:'..field(id, 'take'), id)
if ARGV[4] ~= '' then
  redis.call('HSET', key, 'digest', digest, 'job', id)
  redis.call('EXPIRE', key, ARGV[8])
end
wait(id)
return {'new', own}
"""
# worker, now, lease, most tries, lost text, latest lease, lane, ...
_CLAIM = """
local stale = redis.call('ZRANGEBYSCORE', p..'run', '-inf', ARGV[2])
for _, id in ipairs(redis.call('ZRANGEBYSCORE', p..'run', '('..ARGV[6], '+inf')) do table.insert(stale, id) end
for _, id in ipairs(stale) do
  local tries = field(id, 'tries')
  if field(id, 'cancel') == '1' then finish(id, 'cancelled', '', '{}', ARGV[2])
  elseif tonumber(tries) >= tonumber(ARGV[4]) then finish(id, 'failed', (ARGV[5]:gsub('{tries}', tries)), '{}', ARGV[2])
  else wait(id) end
end
for i = 7, #ARGV do
  local id = redis.call('ZRANGE', p..'wait:'..ARGV[i], 0, 0)[1]
  if id then
    redis.call('ZREM', p..'wait:'..ARGV[i], id)
    redis.call('ZADD', p..'run', ARGV[3], id)
    redis.call('HSET', p..'job:'..id, 'state', 'running', 'worker', ARGV[1], 'lease', ARGV[3], 'started', ARGV[2])
    redis.call('HINCRBY', p..'job:'..id, 'tries', 1)
    return id
  end
end
return false
"""
_BEAT = """
if not held(ARGV[1], ARGV[2]) then return false end
redis.call('HSET', p..'job:'..ARGV[1], 'lease', ARGV[3])
redis.call('ZADD', p..'run', ARGV[3], ARGV[1])
return field(ARGV[1], 'cancel')
"""
_FINISH = """
if not held(ARGV[1], ARGV[2]) then return 0 end
finish(ARGV[1], ARGV[3], ARGV[4], ARGV[5], ARGV[6])
return 1
"""
_GIVE_BACK = """
if not held(ARGV[1], ARGV[2]) then return 0 end
redis.call('HINCRBY', p..'job:'..ARGV[1], 'tries', -1)
wait(ARGV[1])
return 1
"""
_CANCEL = """
local state = field(ARGV[1], 'state')
if state == 'queued' then finish(ARGV[1], 'cancelled', '', '{}', ARGV[2])
elseif state == 'running' then redis.call('HSET', p..'job:'..ARGV[1], 'cancel', '1') end
return 1
"""
_SCRIPTS = {
    "submit": _SUBMIT, "claim": _CLAIM, "beat": _BEAT, "finish": _FINISH, "give_back": _GIVE_BACK, "cancel": _CANCEL,
}  # fmt: skip


class RedisQueue:
    """`JobQueue` on a Redis server; `max_queued` and `max_of_client` are jobs that may wait, by lane."""

    def __init__(self, url: str, max_queued: dict[str, int], max_of_client: dict[str, int]) -> None:
        try:
            import redis
        except ImportError as error:
            raise UserError("--queue: the client is not installed: pip install -e .[studio-redis]") from error
        self.max_queued, self.max_of_client = max_queued, max_of_client
        try:
            self.redis: Any = redis.Redis.from_url(url, decode_responses=True, socket_timeout=10.0)
            self.redis.ping()
        except (redis.RedisError, ValueError) as error:
            raise UserError(f"--queue: the Redis server does not answer ({type(error).__name__}).") from error
        self.scripts = {name: self.redis.register_script(_HELPERS + text) for name, text in _SCRIPTS.items()}

    def now(self) -> float:
        """Seconds since 1970 on the server's clock."""
        seconds, microseconds = self.redis.time()
        return float(seconds) + microseconds / 1e6

    def submit(self, job: StudioJob, idempotency_key: str = "", digest: str = "") -> StudioJob:
        """See `JobQueue`."""
        created = self.now()
        bounds = (self.max_queued[job.lane], self.max_of_client[job.lane], KEY_SECONDS)
        pairs = [item for pair in _packed(job).items() for item in pair]
        about = (job.id, job.lane, job.client, idempotency_key, digest)
        what, value = self._run("submit", *about, *bounds, created, *pairs)
        if what == "reused":
            raise KeyReused("this Idempotency-Key was used for another request: send a new one.")
        if what == "known" and (known := self.get(value)) is not None:
            return known
        if what in ("client", "full"):
            seconds = self.seconds_of(job.verb) or 5.0
            raise full(job.lane, int(value), seconds * (1 if what == "client" else 4), of_client=what == "client")
        return replace(job, turn=int(value), created=created)

    def claim(self, worker: str, lanes: tuple[str, ...]) -> StudioJob | None:
        """See `JobQueue`."""
        now = self.now()
        latest = stale_leases(now)[1]
        id = self._run("claim", worker, now, now + LEASE_SECONDS, MAX_TRIES, _LOST, latest, *lanes)
        return self.get(id) if id else None

    def beat(self, id: str, worker: str) -> bool | None:
        """See `JobQueue`."""
        cancel = self._run("beat", id, worker, self.now() + LEASE_SECONDS)
        return None if cancel is None else cancel != "1"

    def finish(self, id: str, worker: str, state: str, result: dict[str, Any], error: str = "") -> bool:
        """See `JobQueue`."""
        return bool(self._run("finish", id, worker, state, error, json.dumps(result), self.now()))

    def give_back(self, id: str, worker: str) -> None:
        """See `JobQueue`."""
        self._run("give_back", id, worker)

    def cancel(self, id: str) -> None:
        """See `JobQueue`."""
        self._run("cancel", id, self.now())

    def get(self, id: str) -> StudioJob | None:
        """See `JobQueue`."""
        values = self.redis.hgetall(f"studio:job:{id}")
        return _job(values) if values else None

    def waiting(self) -> dict[str, int]:
        """See `JobQueue`."""
        return {lane: int(self.redis.zcard(f"studio:wait:{lane}")) for lane in self.max_queued}

    def before(self, job: StudioJob) -> int:
        """See `JobQueue`."""
        return int(self.redis.zcount(f"studio:wait:{job.lane}", "-inf", f"({job.turn * _TURN + job.created!r}"))

    def seconds_of(self, verb: str) -> float | None:
        """See `JobQueue`."""
        found = [float(seconds) for seconds in self.redis.lrange(f"studio:seconds:{verb}", 0, N_SECONDS - 1)]
        return sum(found) / len(found) if found else None

    def add_event(self, id: str, body: dict[str, Any]) -> None:
        """See `JobQueue`."""
        self.redis.rpush(f"studio:events:{id}", json.dumps(body))

    def events(self, id: str, after: int = 0) -> list[tuple[int, dict[str, Any]]]:
        """See `JobQueue`."""
        found = self.redis.lrange(f"studio:events:{id}", after, -1)
        return [(number, json.loads(body)) for number, body in enumerate(found, start=after + 1)]

    def forget(self, take: str) -> None:
        """See `JobQueue`."""
        for id in self.redis.smembers(f"studio:take:{take}"):
            job = self.get(id)
            if job is None or job.has_ended:
                self.redis.delete(f"studio:job:{id}", f"studio:events:{id}")
                self.redis.srem(f"studio:take:{take}", id)

    def close(self) -> None:
        """See `JobQueue`."""
        self.redis.close()

    def _run(self, name: str, *values: Any) -> Any:
        return self.scripts[name](args=[repr(value) if isinstance(value, float) else value for value in values])


def _packed(job: StudioJob) -> dict[str, str]:
    """The fields of a job as Redis keeps them."""
    values = {field.name: getattr(job, field.name) for field in fields(StudioJob)}
    packed = {name: json.dumps(value) if isinstance(value, dict) else value for name, value in values.items()}
    return {name: str(int(value)) if isinstance(value, bool) else str(value) for name, value in packed.items()}


def _job(values: dict[str, str]) -> StudioJob:
    """The job of such fields."""
    made: dict[str, Any] = dict(values)
    for name in ("options", "result"):
        made[name] = json.loads(values[name])
    for name in ("turn", "tries"):
        made[name] = int(values[name])
    for name in ("limit_seconds", "created", "started", "ended", "lease"):
        made[name] = float(values[name])
    return StudioJob(**{**made, "cancel": values["cancel"] == "1"})
