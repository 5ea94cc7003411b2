"""The usual paths of an application with redis-py: python3 redis_py.py HOST PORT.

The servers have the user app with the password secret beside the default one. Ends with code 1 after the first result
that is not what one Redis server would answer.
"""

import asyncio
import sys
import threading
import time

import redis
import redis.asyncio

HOST, PORT = sys.argv[1], int(sys.argv[2])


def want(what, got, wanted):
    if got != wanted:
        sys.exit(f"{what}: got {got!r}, want {wanted!r}")


def connect(**options):
    return redis.Redis(host=HOST, port=PORT, decode_responses=True, socket_timeout=20, **options)


def until(what, try_):
    """Returns the first result of try_ that is not None; gives up after 20 seconds."""
    end = time.monotonic() + 20
    while time.monotonic() < end:
        got = try_()
        if got is not None:
            return got
    sys.exit(f"{what}: nothing within 20 s")


def strings(r):
    want("PING", r.ping(), True)
    want("SET", r.set("py:a", "1", ex=100), True)
    want("INCR", r.incr("py:a"), 2)
    want("GET of nothing", r.get("py:none"), None)
    want("SET NX", r.set("py:a", "9", nx=True), None)
    want("MSET", r.mset({f"py:k{i}": i for i in range(20)}), True)
    want("MGET", r.mget([f"py:k{i}" for i in range(20)] + ["py:none"]), [str(i) for i in range(20)] + [None])
    want("EXISTS", r.exists("py:k0", "py:k1", "py:k2", "py:none"), 3)
    want("DEL", r.delete(*[f"py:k{i}" for i in range(20)]), 20)
    want("HSET", r.hset("py:h", mapping={"f": 1, "g": 2}), 2)
    want("HGETALL", r.hgetall("py:h"), {"f": "1", "g": "2"})
    want("ZADD", r.zadd("py:z", {"m": 1.5, "n": 2}), 2)
    want("ZRANGE", r.zrange("py:z", 0, -1, withscores=True), [("m", 1.5), ("n", 2.0)])
    try:
        r.lpush("py:h", "x")
        sys.exit("LPUSH to a hash: no error")
    except redis.ResponseError as e:
        want("LPUSH to a hash", str(e), "WRONGTYPE Operation against a key holding the wrong kind of value")


def identity(r):
    with connect(client_name="py-client", health_check_interval=10) as named:
        want("CLIENT GETNAME", named.client_getname(), "py-client")
        want("CLIENT ID", named.client_id() > 0, True)
        want("CLIENT LIST", [c["addr"] != "" for c in named.client_list() if c["name"] == "py-client"], [True])
    with connect(username="app", password="secret") as app:
        want("ACL WHOAMI", app.acl_whoami(), "app")
        want("SET as a user", app.set("py:user", "x"), True)
    try:
        with connect(username="app", password="wrong") as app:
            app.ping()
        sys.exit("a wrong password: no error")
    except redis.AuthenticationError as e:
        want("a wrong password", "WRONGPASS" in str(e), True)
    except redis.ResponseError as e:
        want("a wrong password", "invalid username-password pair" in str(e), True)
    with connect(db=3) as three:
        want("SET in database 3", three.set("py:db", "three"), True)
        want("GET in database 3", three.get("py:db"), "three")
    want("GET in database 0", r.get("py:db"), None)


def pipelines(r):
    pipe = r.pipeline(transaction=False)
    for i in range(300):
        pipe.set(f"py:p{i}", i)
        pipe.get(f"py:p{i}")
    want("a pipeline", pipe.execute(), [x for i in range(300) for x in (True, str(i))])
    pipe = r.pipeline()
    pipe.set("{py}a", 1).incr("{py}a").get("{py}a")
    want("a transaction", pipe.execute(), [True, 2, "2"])
    pipe = r.pipeline()
    pipe.set("{py}b", "text").incr("{py}b").set("{py}c", 1)
    got = pipe.execute(raise_on_error=False)
    want("a transaction with an error", [got[0], type(got[1]), got[2]], [True, redis.ResponseError, True])


def watching(r):
    r.set("{py}w", 1)
    with r.pipeline() as pipe:
        pipe.watch("{py}w")
        seen = int(pipe.get("{py}w"))
        r.set("{py}w", 10)
        pipe.multi()
        pipe.set("{py}w", seen + 1)
        try:
            pipe.execute()
            sys.exit("EXEC after a change: no WatchError")
        except redis.WatchError:
            pass

    def add(pipe):
        seen = int(pipe.get("{py}w"))
        pipe.multi()
        pipe.set("{py}w", seen + 1)

    want("r.transaction", r.transaction(add, "{py}w"), [True])
    want("GET after the transaction", r.get("{py}w"), "11")


def publishing(r):
    with r.pubsub(ignore_subscribe_messages=False) as p:
        p.subscribe("py:ch1", "py:ch2")
        p.psubscribe("py:pattern:*")
        seen = [until("subscribing", lambda: p.get_message(timeout=1)) for _ in range(3)]
        want("subscribed", [(m["type"], m["channel"], m["data"]) for m in seen],
             [("subscribe", "py:ch1", 1), ("subscribe", "py:ch2", 2), ("psubscribe", "py:pattern:*", 3)])
        want("PUBLISH", [r.publish("py:ch2", "hello"), r.publish("py:pattern:x", "world")], [1, 1])
        seen = [until("a message", lambda: p.get_message(timeout=1)) for _ in range(2)]
        want("messages", sorted((m["type"], m["pattern"], m["channel"], m["data"]) for m in seen),
             sorted([("message", None, "py:ch2", "hello"), ("pmessage", "py:pattern:*", "py:pattern:x", "world")], key=str))
        p.ping()
        want("PING while subscribed", until("pong", lambda: p.get_message(timeout=1))["type"], "pong")
        p.unsubscribe()
        p.punsubscribe()
        want("unsubscribed", sorted(until("unsubscribing", lambda: p.get_message(timeout=1))["type"] for _ in range(3)),
             ["punsubscribe", "unsubscribe", "unsubscribe"])


def scripts(r):
    script = r.register_script("redis.call('SET', KEYS[1], ARGV[1]) return redis.call('GET', KEYS[1])")
    want("a script", script(keys=["py:script"], args=["x"]), "x")
    want("a script again", [script(keys=[f"py:script{i}"], args=[i]) for i in range(6)], [str(i) for i in range(6)])
    pipe = r.pipeline()
    script(keys=["{py}script"], args=["y"], client=pipe)
    want("a script in a transaction", pipe.execute(), ["y"])
    want("EVAL", r.eval("return {KEYS[1], ARGV[1]}", 1, "py:k", "v"), ["py:k", "v"])
    with r.lock("py:lock", timeout=10) as lock:
        want("a lock is held", [lock.locked(), r.lock("py:lock", timeout=10).acquire(blocking=False)], [True, False])
        want("a lock lives longer", lock.extend(5), True)
    want("a lock is free", r.exists("py:lock"), 0)


def scanning(r):
    r.mset({f"py:scan:{i}": i for i in range(200)})
    wanted = sorted(f"py:scan:{i}" for i in range(200))
    want("scan_iter", sorted(set(r.scan_iter(match="py:scan:*", count=50))), wanted)
    want("KEYS", sorted(r.keys("py:scan:*")), wanted)
    r.sadd("py:set", *range(300))
    want("sscan_iter", len(set(r.sscan_iter("py:set"))), 300)
    want("DBSIZE", r.dbsize() >= 200, True)
    want("INFO", r.info()["redis_version"].split(".")[0].isdigit(), True)
    want("SORT", r.sort("py:set", desc=True, start=0, num=2), ["299", "298"])


def blocking(r):
    want("BLPOP of nothing", r.blpop(["{py}l1", "{py}l2"], timeout=0.1), None)
    got = []
    waiter = threading.Thread(target=lambda: got.append(r.blpop(["{py}l1", "{py}l2"], timeout=15)))
    waiter.start()
    until("somebody who waits", lambda: r.rpush("{py}l2", "x") or None)
    waiter.join()
    want("BLPOP", got, [("{py}l2", "x")])
    r.rpush("{py}from", "y")
    want("BLMOVE", r.blmove("{py}from", "{py}to", 1, "LEFT", "RIGHT"), "y")
    r.zadd("py:bz", {"m": 1})
    want("BZPOPMIN", r.bzpopmin("py:bz", timeout=1), ("py:bz", "m", 1.0))


def streams(r):
    want("XGROUP CREATE", r.xgroup_create("py:st", "g", mkstream=True), True)
    want("XREADGROUP of nothing", r.xreadgroup("g", "c", {"py:st": ">"}, block=50), [])
    got = []
    waiter = threading.Thread(target=lambda: got.append(r.xreadgroup("g", "c", {"py:st": ">"}, block=15000, count=1)))
    waiter.start()
    first = r.xadd("py:st", {"f": "1"})
    waiter.join()
    want("XREADGROUP", got, [[["py:st", [(first, {"f": "1"})]]]])
    want("XPENDING", r.xpending("py:st", "g")["pending"], 1)
    want("XACK", r.xack("py:st", "g", first), 1)
    second = r.xadd("py:st", {"f": "2"})
    want("XREAD", r.xread({"py:st": first}, block=1000), [["py:st", [(second, {"f": "2"})]]])
    want("XINFO", r.xinfo_stream("py:st")["length"], 2)


def monitoring(r):
    with r.monitor() as m:
        r.set("py:monitored", "x")
        line = until("MONITOR", lambda: next((c for c in [m.next_command()] if "py:monitored" in c["command"]), None))
        want("MONITOR", line["command"], "SET py:monitored x")


async def asynchronous():
    """Many tasks on a pool of connections; a client that leaves while it blocks takes nothing."""
    r = redis.asyncio.Redis(host=HOST, port=PORT, decode_responses=True)

    async def one(i):
        await r.set(f"py:async{i}", i)
        async with r.pipeline(transaction=True) as pipe:
            return await pipe.incr(f"py:async{i}").get(f"py:async{i}").execute()

    want("tasks", await asyncio.gather(*[one(i) for i in range(30)]), [[i + 1, str(i + 1)] for i in range(30)])

    async def blocked(number):
        for _ in range(2000):
            if (await r.info("clients"))["blocked_clients"] == number:
                return
        sys.exit(f"blocked_clients does not become {number}")

    gone = redis.asyncio.Redis(host=HOST, port=PORT, single_connection_client=True)
    waiter = asyncio.ensure_future(gone.blpop("py:never", timeout=15))
    await blocked(1)
    await gone.connection.disconnect()
    waiter.cancel()
    await asyncio.gather(waiter, return_exceptions=True)
    await blocked(0)
    want("after a client that left BLPOP", [await r.rpush("py:never", "x"), await r.llen("py:never")], [1, 1])
    await gone.close()
    await r.close()


def main():
    r = connect()
    for path in strings, identity, pipelines, watching, publishing, scripts, scanning, blocking, streams, monitoring:
        path(r)
    asyncio.run(asynchronous())
    want("FLUSHALL", r.flushall(), True)
    want("DBSIZE after FLUSHALL", r.dbsize(), 0)
    print("redis-py", redis.__version__, "ok")


main()
