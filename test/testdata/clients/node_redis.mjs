// The usual paths of an application with node-redis: node node_redis.mjs HOST PORT PROTOCOL, beside node_modules.
//
// The servers have the user app with the password secret beside the default one.

import { createRequire } from 'node:module';
import { host, port, protocol, want, failure, loud, range, text } from './check.mjs';

const require = createRequire(process.cwd() + '/');
const { createClient, createClientPool, defineScript, WatchError } = require('redis');
const { version } = require('redis/package.json');

const clients = [];
async function connect(options = {}) {
  const client = loud(createClient({ socket: { host, port }, RESP: protocol, ...options }));
  clients.push(client);
  await client.connect();
  return client;
}

async function strings(r) {
  want('PING', await r.ping(), 'PONG');
  want('SET', await r.set('node:a', '1', { EX: 100 }), 'OK');
  want('INCR', await r.incr('node:a'), 2);
  want('GET of nothing', await r.get('node:none'), null);
  want('MSET', await r.mSet(range(20).map((i) => [`node:k${i}`, String(i)])), 'OK');
  want('MGET', await r.mGet([...range(20).map((i) => `node:k${i}`), 'node:none']), [...text(20), null]);
  want('DEL', await r.del(range(20).map((i) => `node:k${i}`)), 20);
  want('HSET', await r.hSet('node:h', { f: 1, g: 2 }), 2);
  want('HGETALL', { ...(await r.hGetAll('node:h')) }, { f: '1', g: '2' });
  want('ZADD', await r.zAdd('node:z', [{ score: 1.5, value: 'm' }]), 1);
  want('ZSCORE', await r.zScore('node:z', 'm'), 1.5);
  want('LPUSH to a hash', await failure(r.lPush('node:h', 'x')), 'WRONGTYPE Operation against a key holding the wrong kind of value');
}

async function identity(r) {
  const named = await connect({ name: 'node-client' });
  want('CLIENT GETNAME', await named.clientGetName(), 'node-client');
  want('CLIENT INFO', (await named.clientInfo()).name, 'node-client');
  const app = await connect({ username: 'app', password: 'secret' });
  want('ACL WHOAMI', await app.aclWhoAmI(), 'app');
  const three = await connect({ database: 3 });
  want('SET in database 3', await three.set('node:db', 'three'), 'OK');
  want('GET in database 3', await three.get('node:db'), 'three');
  want('GET in database 0', await r.get('node:db'), null);
}

async function pipelines(r) {
  const pipe = r.multi();
  range(100).forEach((i) => pipe.set(`node:p${i}`, String(i)).get(`node:p${i}`));
  want('a pipeline', await pipe.execAsPipeline(), range(100).flatMap((i) => ['OK', String(i)]));
  want('what is asked at once', await Promise.all(range(50).map((i) => r.get(`node:p${i}`))), text(50));
  want('a transaction', await r.multi().set('{node}a', '1').incr('{node}a').get('{node}a').exec(), ['OK', 2, '2']);
}

async function watching(r) {
  const w = await connect();
  await w.set('{node}w', '1');
  await w.watch('{node}w');
  await r.set('{node}w', '10');
  const error = await w.multi().set('{node}w', '2').exec().catch((e) => e);
  want('EXEC after a change', error instanceof WatchError, true);
  await w.watch('{node}w');
  want('EXEC without a change', await w.multi().set('{node}w', '11').exec(), ['OK']);
}

async function publishing(r) {
  const sub = await connect();
  let hear;
  const message = new Promise((resolve) => (hear = (...args) => resolve(args)));
  await sub.subscribe('node:ch1', () => {});
  await sub.subscribe('node:ch2', hear);
  want('PUBLISH', await r.publish('node:ch2', 'hello'), 1);
  want('a message', await message, ['hello', 'node:ch2']);
  const pmessage = new Promise((resolve) => (hear = (...args) => resolve(args)));
  await sub.pSubscribe('node:pattern:*', hear);
  want('PUBLISH to a pattern', await r.publish('node:pattern:x', 'world'), 1);
  want('a message for a pattern', await pmessage, ['world', 'node:pattern:x']);
  want('PING while subscribed', (await sub.ping()).toUpperCase(), 'PONG');
  await sub.unsubscribe();
  await sub.pUnsubscribe();
  want('GET after subscriptions', String(await sub.get('node:a')), '2');
}

async function scripts() {
  const put = defineScript({
    SCRIPT: "redis.call('SET', KEYS[1], ARGV[1]) return redis.call('GET', KEYS[1])",
    NUMBER_OF_KEYS: 1,
    parseCommand(parser, key, value) {
      parser.pushKey(key);
      parser.push(value);
    },
    transformReply: undefined,
  });
  const r = await connect({ scripts: { put } });
  want('a script', await r.put('node:script', 'x'), 'x');
  want('a script again', await Promise.all(range(6).map((i) => r.put(`node:script${i}`, String(i)))), text(6));
  want('a script in a transaction', await r.multi().put('node:script', 'y').exec(), ['y']);
}

async function scanning(r) {
  await r.mSet(range(200).map((i) => [`node:scan:${i}`, String(i)]));
  const found = new Set();
  for await (const keys of r.scanIterator({ MATCH: 'node:scan:*', COUNT: 50 })) {
    keys.forEach((key) => found.add(key));
  }
  want('scanIterator', found.size, 200);
  want('KEYS', (await r.keys('node:scan:*')).length, 200);
}

async function blocking(r) {
  const b = await connect();
  want('BLPOP of nothing', await b.blPop(['{node}l1', '{node}l2'], 0.1), null);
  const popped = b.blPop(['{node}l1', '{node}l2'], 15);
  await r.rPush('{node}l2', 'x');
  want('BLPOP', { ...(await popped) }, { key: '{node}l2', element: 'x' });
  await r.xGroupCreate('node:st', 'g', '$', { MKSTREAM: true });
  const read = b.xReadGroup('g', 'c', { key: 'node:st', id: '>' }, { COUNT: 1, BLOCK: 15000 });
  const id = await r.xAdd('node:st', '*', { f: '1' });
  want('XREADGROUP', JSON.stringify(await read).includes(id), true);
  want('XACK', await r.xAck('node:st', 'g', id), 1);
}

async function pooled() {
  const pool = loud(createClientPool({ socket: { host, port }, RESP: protocol }, { minimum: 1, maximum: 10 }));
  await pool.connect();
  want('a pool', await Promise.all(range(50).map((i) => pool.get(`node:p${i}`))), text(50));
  want('a transaction of a pool', await pool.multi().set('{node}a', '5').get('{node}a').exec(), ['OK', '5']);
  await pool.close();
}

async function monitoring(r) {
  const m = await connect();
  let hear;
  const seen = new Promise((resolve) => (hear = (line) => line.includes('node:monitored') && resolve(line)));
  await m.monitor(hear);
  await r.set('node:monitored', 'x');
  want('MONITOR', (await seen).endsWith('"SET" "node:monitored" "x"'), true);
  await m.reset();
}

const r = await connect();
for (const path of [strings, identity, pipelines, watching, publishing, scripts, scanning, blocking, pooled, monitoring]) {
  await path(r);
}
want('FLUSHALL', await r.flushAll(), 'OK');
await Promise.all(clients.map((client) => client.close()));
console.log('node-redis', version, 'RESP', protocol, 'ok');
