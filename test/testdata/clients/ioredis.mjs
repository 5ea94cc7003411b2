// The usual paths of an application with ioredis: node ioredis.mjs HOST PORT PROTOCOL, beside node_modules.
//
// The servers have the user app with the password secret beside the default one.

import { createRequire } from 'node:module';
import { host, port, protocol, want, failure, next, loud, range, text } from './check.mjs';

const require = createRequire(process.cwd() + '/');
const { Redis } = require('ioredis');
const { version } = require('ioredis/package.json');

const clients = [];
function connect(options = {}) {
  const client = loud(new Redis({ host, port, protocol, ...options }));
  clients.push(client);
  return client;
}

async function strings(r) {
  want('PING', await r.ping(), 'PONG');
  want('SET', await r.set('io:a', 1, 'EX', 100), 'OK');
  want('INCR', await r.incr('io:a'), 2);
  want('GET of nothing', await r.get('io:none'), null);
  want('MSET', await r.mset(Object.fromEntries(range(20).map((i) => [`io:k${i}`, i]))), 'OK');
  want('MGET', await r.mget(...range(20).map((i) => `io:k${i}`), 'io:none'), [...text(20), null]);
  want('DEL', await r.del(...range(20).map((i) => `io:k${i}`)), 20);
  want('HSET', await r.hset('io:h', { f: 1, g: 2 }), 2);
  want('HGETALL', { ...(await r.hgetall('io:h')) }, { f: '1', g: '2' });
  await r.zadd('io:z', 1.5, 'm', 2, 'n');
  want('ZRANGE', await r.zrange('io:z', 0, -1, 'WITHSCORES'), ['m', '1.5', 'n', '2']);
  want('a buffer', await r.getBuffer('io:a'), Buffer.from('2'));
  want('LPUSH to a hash', await failure(r.lpush('io:h', 'x')), 'WRONGTYPE Operation against a key holding the wrong kind of value');
}

async function identity(r) {
  const named = connect({ connectionName: 'io-client' });
  want('CLIENT GETNAME', await named.client('GETNAME'), 'io-client');
  const app = connect({ username: 'app', password: 'secret' });
  want('ACL WHOAMI', await app.acl('WHOAMI'), 'app');
  const three = connect({ db: 3 });
  want('SET in database 3', await three.set('io:db', 'three'), 'OK');
  want('GET in database 3', await three.get('io:db'), 'three');
  want('GET in database 0', await r.get('io:db'), null);
  want('SELECT', [await three.select(4), await three.get('io:db')], ['OK', null]);
}

async function pipelines(r) {
  const pipe = r.pipeline();
  range(300).forEach((i) => pipe.set(`io:p${i}`, i).get(`io:p${i}`));
  want('a pipeline', await pipe.exec(), range(300).flatMap((i) => [[null, 'OK'], [null, String(i)]]));
  want('a transaction', await r.multi().set('{io}a', 1).incr('{io}a').get('{io}a').exec(), [[null, 'OK'], [null, 2], [null, '2']]);
  await r.multi({ pipeline: false });
  want('queued', await r.set('{io}b', 'x'), 'QUEUED');
  want('EXEC', await r.exec(), [[null, 'OK']]);
  const auto = connect({ enableAutoPipelining: true });
  want('automatic pipelining', await Promise.all(range(50).map((i) => auto.get(`io:p${i}`))), text(50));
}

async function watching(r) {
  const w = connect();
  await w.set('{io}w', 1);
  await w.watch('{io}w');
  await r.set('{io}w', 10);
  want('EXEC after a change', await w.multi().set('{io}w', 2).exec(), null);
  await w.watch('{io}w');
  want('EXEC without a change', await w.multi().set('{io}w', 11).exec(), [[null, 'OK']]);
}

async function publishing(r) {
  const sub = connect();
  want('SUBSCRIBE', await sub.subscribe('io:ch1', 'io:ch2'), 2);
  want('PSUBSCRIBE', await sub.psubscribe('io:pattern:*'), 3);
  const message = next(sub, 'message');
  const pmessage = next(sub, 'pmessage');
  want('PUBLISH', [await r.publish('io:ch2', 'hello'), await r.publish('io:pattern:x', 'world')], [1, 1]);
  want('a message', await message, ['io:ch2', 'hello']);
  want('a message for a pattern', await pmessage, ['io:pattern:*', 'io:pattern:x', 'world']);
  want('UNSUBSCRIBE', [await sub.unsubscribe('io:ch1', 'io:ch2'), await sub.punsubscribe('io:pattern:*')], [1, 0]);
  want('GET after subscriptions', await sub.get('io:a'), '2');
}

async function scripts(r) {
  r.defineCommand('put', { numberOfKeys: 1, lua: "redis.call('SET', KEYS[1], ARGV[1]) return redis.call('GET', KEYS[1])" });
  want('a script', await r.put('io:script', 'x'), 'x');
  want('a script again', await Promise.all(range(6).map((i) => r.put(`io:script${i}`, i))), text(6));
  want('a script in a pipeline', await r.pipeline().put('io:script', 'y').get('io:script').exec(), [[null, 'y'], [null, 'y']]);
}

async function scanning(r) {
  await r.mset(Object.fromEntries(range(200).map((i) => [`io:scan:${i}`, i])));
  const found = new Set();
  for await (const keys of r.scanStream({ match: 'io:scan:*', count: 50 })) {
    keys.forEach((key) => found.add(key));
  }
  want('scanStream', found.size, 200);
  await r.sadd('io:set', ...range(300));
  const members = new Set();
  for await (const some of r.sscanStream('io:set')) {
    some.forEach((m) => members.add(m));
  }
  want('sscanStream', members.size, 300);
}

async function blocking(r) {
  const b = connect();
  want('BLPOP of nothing', await b.blpop('{io}l1', '{io}l2', 0.1), null);
  const popped = b.blpop('{io}l1', '{io}l2', 15);
  const behind = b.get('io:a');
  await r.rpush('{io}l2', 'x');
  want('BLPOP', await popped, ['{io}l2', 'x']);
  want('what stands behind BLPOP', await behind, '2');
  await r.xgroup('CREATE', 'io:st', 'g', '$', 'MKSTREAM');
  const read = b.xreadgroup('GROUP', 'g', 'c', 'COUNT', 1, 'BLOCK', 15000, 'STREAMS', 'io:st', '>');
  const id = await r.xadd('io:st', '*', 'f', '1');
  want('XREADGROUP', await read, [['io:st', [[id, ['f', '1']]]]]);
  want('XACK', await r.xack('io:st', 'g', id), 1);
}

async function monitoring(r) {
  const m = await r.monitor();
  const seen = new Promise((resolve) => m.on('monitor', (_, args) => args.includes('io:monitored') && resolve(args)));
  await r.set('io:monitored', 'x');
  want('MONITOR', (await seen).map((arg) => arg.toLowerCase()), ['set', 'io:monitored', 'x']);
  m.disconnect();
}

const r = connect();
for (const path of [strings, identity, pipelines, watching, publishing, scripts, scanning, blocking, monitoring]) {
  await path(r);
}
want('FLUSHALL', await r.flushall(), 'OK');
await Promise.all(clients.map((client) => client.quit()));
console.log('ioredis', version, 'RESP', protocol, 'ok');
