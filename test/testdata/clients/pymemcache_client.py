"""The usual paths of an application with pymemcache: python3 pymemcache_client.py HOST PORT.

Ends with code 1 after the first result that is not what one memcached would answer.
"""

import sys

import pymemcache
from pymemcache.client.base import Client, PooledClient
from pymemcache.client.hash import HashClient
from pymemcache.exceptions import MemcacheClientError, MemcacheIllegalInputError

SERVER = (sys.argv[1], int(sys.argv[2]))


def want(what, got, wanted):
    if got != wanted:
        sys.exit(f"{what}: got {got!r}, want {wanted!r}")


def storing(c):
    want("set", c.set("a", "1", expire=100), True)
    want("get", c.get("a"), b"1")
    want("get of nothing", c.get("none", default=b"-"), b"-")
    want("add", [c.add("a", "2"), c.add("b", "2")], [False, True])
    want("replace", [c.replace("none", "2"), c.replace("b", "3")], [False, True])
    want("append, prepend", [c.append("b", "+"), c.prepend("b", "-"), c.get("b")], [True, True, b"-3+"])
    want("flags", c.set("flagged", "x", flags=77), True)
    want("delete", [c.delete("b"), c.delete("b")], [True, False])
    want("touch", [c.touch("a", 50), c.touch("none", 50)], [True, False])
    want("an empty value", [c.set("empty", b""), c.get("empty")], [True, b""])
    large = b"v" * 900_000
    want("a large value", [c.set("large", large), c.get("large") == large], [True, True])


def counting(c):
    c.set("n", "10")
    want("incr", [c.incr("n", 5), c.incr("none", 1)], [15, None])
    want("decr", [c.decr("n", 20), c.get("n")], [0, b"0 "])  # memcached keeps the length
    c.set("words", "x")
    try:
        c.incr("words", 1)
        sys.exit("incr of words: no error")
    except MemcacheClientError as e:
        want("incr of words", e.args, (b"cannot increment or decrement non-numeric value",))


def several(c):
    pairs = {f"m{i}": f"v{i}" for i in range(60)}
    want("set_many", c.set_many(pairs), [])
    want("get_many", c.get_many([*pairs, "none"]), {k: v.encode() for k, v in pairs.items()})
    want("gets_many", {k: v for k, (v, _) in c.gets_many(pairs).items()}, {k: v.encode() for k, v in pairs.items()})
    want("delete_many", c.delete_many(list(pairs)), True)
    want("get_many of nothing", c.get_many(list(pairs)), {})


def comparing(c):
    c.set("cas", "1")
    value, token = c.gets("cas")
    want("gets", value, b"1")
    want("cas", [c.cas("cas", "2", token), c.cas("cas", "3", token), c.cas("none", "4", token)], [True, False, None])
    want("gets of nothing", c.gets("none"), (None, None))


def silent(c):
    for i in range(200):
        c.set("quiet", str(i), noreply=True)
    c.incr("quiet", 1, noreply=True)
    want("get behind noreply", c.get("quiet"), b"200")
    c.delete("quiet", noreply=True)
    c.touch("none", 1, noreply=True)
    c.add("flagged", "y", noreply=True)
    want("get behind noreply", [c.get("quiet"), c.get("flagged")], [None, b"x"])
    c.flush_all(noreply=True)
    want("get behind flush_all", c.get("flagged"), None)


def managing(c):
    want("version", c.version().split(b".")[0].isdigit(), True)
    c.set("counted", "x")
    stats = c.stats()
    want("stats", [stats[b"curr_items"] >= 1, stats[b"cmd_set"] >= 1, stats[b"limit_maxbytes"] > 0], [True, True, True])
    want("stats slabs", any(b"chunk_size" in k for k in c.stats("slabs")), True)
    want("cache_memlimit", c.cache_memlimit(64), True)
    want("flush_all", [c.flush_all(), c.get("counted")], [True, None])
    try:
        c.get("with a space")
        sys.exit("a key with a space: no error")
    except MemcacheIllegalInputError:
        pass


def main():
    options = {"timeout": 20, "connect_timeout": 20, "default_noreply": False}
    for make in Client, PooledClient:
        c = make(SERVER, **options)
        paths = [storing, counting, several, comparing, silent]
        for path in paths + ([managing] if make is Client else []):
            path(c)
        c.quit()
    h = HashClient([SERVER], use_pooling=True, **options)
    want("set_many of a HashClient", h.set_many({f"h{i}": str(i) for i in range(40)}), [])
    want("get_many of a HashClient", h.get_many([f"h{i}" for i in range(40)]), {f"h{i}": str(i).encode() for i in range(40)})
    print("pymemcache", pymemcache.__version__, "ok")


main()
